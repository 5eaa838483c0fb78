"""What others on the machine can read: the state folder, and passwords in messages."""

import socket
import ssl
import threading
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from model.messages import Messages
from runtime.commands.common import audited
from runtime.configuration import load
from runtime.simulator.play import NoConnection, address, play
from tests.receivers import Certificates
from tests.site import marchwarden, service, site_at, until
from tests.unit.test_configuration import change, mistakes


def test_a_state_folder_that_others_can_open_is_closed_by_the_service(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    (site / "state").mkdir(mode=0o755)
    (site / "state").chmod(0o755)
    with service(site, tmp_path / "log"):
        until((site / "state" / "marchwarden.db").exists, "the service began")
        assert (site / "state").stat().st_mode & 0o077 == 0


def test_and_by_a_command_that_writes_into_it(tmp_path: Path) -> None:
    c = load(site_at(tmp_path))
    c.state.mkdir()
    c.state.chmod(0o777)
    audited(c, "ana", "looked", "A0", "shift")
    assert c.state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("agencies.toml", 'kind = "mqtt"', 'kind = "webhook"\nurl = "https://us:hunter2@hook.example.org/"'),
        ("agencies.toml", 'kind = "mqtt"', 'kind = "webhook"\nurl = "ftp://us:hunter2@hook.example.org/"'),
        ("accounts.toml", "", '[[account]]\nid = "a"\nrole = "officer"\npassword = ["hunter2"]'),
        ("accounts.toml", "", '[[account]]\nid = "a"\nrole = "officer"\npassword = "hunter2"\ntoken = "b"'),
        ("accounts.toml", "", '[[account]]\nid = "a"\nrole = "king"\ntoken = "hunter2"'),
    ],
)
def test_a_mistake_does_not_show_a_password(tmp_path: Path, file: str, old: str, new: str) -> None:
    site = site_at(tmp_path)
    if old:
        change(site, file, old, new)
    else:
        (site / file).write_text(new)
        (site / file).chmod(0o600)
    assert mistakes(site)
    assert "hunter2" not in "\n".join(mistakes(site))


def test_a_wrong_address_of_a_broker_does_not_show_its_password() -> None:
    for url in (
        "http://us:hunter2@b.example.org",
        "mqtt://us:hunter2@b.example.org:x",
        "mqtt://us:1/hunter2@b.example.org",
    ):
        with pytest.raises(ValueError, match="no broker's address") as error:
            address(url, plain=False)
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("host", ["broker.example.org", "192.0.2.7", "127.0.0.1.example.org", "[2001:db8::1]"])
def test_an_exercise_goes_beyond_this_machine_encrypted_or_where_the_command_says_plain(
    host: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="would be in the clear") as error:
        address(f"mqtt://us:hunter2@{host}", plain=False)
    assert "hunter2" not in str(error.value)
    assert not address(f"mqtt://us:hunter2@{host}", plain=True).encrypted
    assert (to := address(f"mqtts://us:hunter%402@{host}", plain=False)).encrypted
    assert (to.port, to.password) == (8883, "hunter@2")
    assert not address("mqtt://us:hunter2@127.0.0.1:1885", plain=False).encrypted


def test_with_mqtts_a_client_speaks_only_to_a_broker_whose_authority_it_knows(tmp_path: Path) -> None:
    ours, foreign, first = Certificates(tmp_path / "ours"), Certificates(tmp_path / "foreign"), list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with suppress(OSError), ours.context().wrap_socket(connection, server_side=True) as secured:
                    first.append(secured.recv(1))

        taking = threading.Thread(target=take)
        taking.start()
        port = listening.getsockname()[1]
        for authority, accepted in ((foreign.authority, False), (ours.authority, True)):
            tls = ssl.create_default_context(cafile=authority)
            with nullcontext() if accepted else pytest.raises(NoConnection):
                play(Messages.none(), "127.0.0.1", port, threading.Event(), username="us", password="hunter2", tls=tls)
        taking.join()
    assert first == [b"\x10"]  # CONNECT, and not before the broker had shown who it is


def test_nor_does_the_command(tmp_path: Path) -> None:
    done = marchwarden("simulate", site_at(tmp_path), "demo", "--mqtt", "http://us:hunter2@broker.example.org")
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
