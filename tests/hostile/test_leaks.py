"""What others on the machine can read: the state folder, and passwords in messages."""

from pathlib import Path

import pytest

from runtime.commands.common import audited
from runtime.configuration import load
from runtime.simulator.play import address
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
    with pytest.raises(ValueError, match="no broker's address") as error:
        address("http://us:hunter2@broker.example.org")
    assert "hunter2" not in str(error.value)


def test_nor_does_the_command(tmp_path: Path) -> None:
    done = marchwarden("simulate", site_at(tmp_path), "demo", "--mqtt", "http://us:hunter2@broker.example.org")
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
