"""What would go over the network in the clear, or lie open on the disk: each is a mistake, unless configuration says `plain`."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from runtime import schema
from runtime.configuration import load
from runtime.connection_check import connections_of, is_loopback
from runtime.schema import NamesFile, SiteFile
from tests.site import site_at
from tests.unit.test_configuration import change, mistakes

TO = 'server = "far.example.org:8089"'
FEED = '[[feed]]\nid = "tak"\nformat = "cot"\ntopic = "cot"'
MAIL = 'kind = "email"\nsender = "a@b.example"\nto = ["c@d.example"]\nserver = "mail.example.org:587"'
# What goes beyond this machine in the clear, by the file and the text in it that is exchanged.
FAR = {
    "broker": ("site.toml", 'host = "127.0.0.1"', 'host = "broker.example.org"'),
    "broker with a password": (
        "site.toml",
        'host = "127.0.0.1"',
        'host = "broker.example.org"\nusername = "us"\npassword_file = "password"',
    ),
    "history": ("site.toml", 'store = "embedded"', 'store = "influxdb"\nurl = "http://influx.example.org:8086"'),
    "feed": (
        "site.toml",
        '[[feed]]\nid = "alpr"',
        f'{FEED}\n{TO}PLAIN\n[[feed]]\nid = "alpr"',
    ),
    "webhook": ("agencies.toml", 'kind = "mqtt"', 'kind = "webhook"\nurl = "http://hook.example.org/"PLAIN\n#'),
    "cap": ("agencies.toml", 'kind = "mqtt"', 'kind = "cap"\nurl = "http://hook.example.org/"PLAIN\n#'),
    "cot": ("agencies.toml", 'kind = "mqtt"', f'kind = "cot"\n{TO}PLAIN\n#'),
    "email": ("agencies.toml", 'kind = "mqtt"', f"{MAIL}\nstarttls = falsePLAIN\n#"),
    "email with a password": (
        "agencies.toml",
        'kind = "mqtt"',
        f'{MAIL}\nusername = "us"\npassword_file = "password"\nstarttls = falsePLAIN\n#',
    ),
}


def site_with(folder: Path, far: str, plain: str) -> Path:
    site = site_at(folder)
    (site / "password").write_text("secret")
    (site / "password").chmod(0o600)
    file, old, new = FAR[far]
    new = new.replace("PLAIN", plain) if "PLAIN" in new else new + plain
    change(site, file, old, new.removesuffix("#"))
    if file == "agencies.toml":
        text = (site / file).read_text()
        (site / file).write_text(text.replace('topic = "marchwarden/san-rafael/agencies/border-patrol"\n', "", 1))
    return site


@pytest.mark.parametrize("far", FAR)
def test_what_goes_beyond_this_machine_in_the_clear_is_a_mistake(tmp_path: Path, far: str) -> None:
    found = mistakes(site_with(tmp_path, far, ""))
    assert len(found) == 1, found
    assert "would be in the clear" in found[0]
    assert "plain = true" in found[0]


@pytest.mark.parametrize("far", FAR)
def test_unless_it_says_so_in_so_many_words(tmp_path: Path, far: str) -> None:
    load(site_with(tmp_path, far, "\nplain = true"))


def test_a_connection_of_every_kind_is_looked_at(tmp_path: Path) -> None:
    """Each kind of channel, and each section that names a host or an address."""
    for number, far in enumerate(FAR):
        site = site_with(tmp_path / str(number), far, "\nplain = true")
        assert [c for c in connections_of(load(site)) if not is_loopback(c.host)], far
    named = {
        n
        for n, field in SiteFile.model_fields.items()
        if hasattr(field.annotation, "model_fields")
        and {"host", "url", "server"} & field.annotation.model_fields.keys()
    }  # type: ignore[union-attr]
    assert named == {"mqtt", "history", "console"}, "a new section that opens a connection belongs into connections_of"


@pytest.mark.parametrize("key", ["cert_file", "key_file"])
def test_a_certificate_that_nothing_would_use_is_a_mistake_even_here(tmp_path: Path, key: str) -> None:
    site = site_at(tmp_path)
    (site / "our.pem").write_text("")
    (site / "our.pem").chmod(0o600)
    topic = 'kind = "mqtt"\ntopic = "marchwarden/san-rafael/agencies/border-patrol"'
    change(site, "agencies.toml", topic, f'kind = "cot"\nserver = "127.0.0.1:1"\n{key} = "our.pem"')
    assert any("everything be in the clear" in mistake for mistake in mistakes(site))


def test_plain_and_encrypted_at_once_is_a_mistake(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    change(site, "site.toml", 'host = "127.0.0.1"', 'host = "broker.example.org"\ntls_ca_file = "ca.pem"\nplain = true')
    assert any("Leave out plain" in mistake for mistake in mistakes(site))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine_is_known_by_every_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1.example.org", "localhost.example.org", "0.0.0.0", "10.0.0.1", "2130706433", ""]
)
def test_and_no_other_passes_for_it(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o620])
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("site.toml", "[mqtt]", '[mqtt]\nusername = "us"\npassword_file = "secret"'),
        ("site.toml", "[privacy]", '[privacy]\nplate_key_file = "secret"'),
        ("site.toml", "[privacy]", '[audit]\naudit_key_file = "secret"\n[privacy]'),
        ("site.toml", "[history]", '[history]\ntoken_file = "secret"'),
        ("agencies.toml", 'kind = "mqtt"', 'kind = "mqtt"\nsecret_file = "secret"'),
    ],
)
def test_a_secret_that_everybody_may_read_is_a_mistake(
    tmp_path: Path, file: str, old: str, new: str, mode: int
) -> None:
    site = site_at(tmp_path)
    (site / "secret").write_text("k" * 32)
    (site / "secret").chmod(0o640)
    change(site, file, old, new)
    load(site)
    (site / "secret").chmod(mode)
    assert any("chmod 600 secret" in mistake for mistake in mistakes(site))


ACCOUNT = f'[[account]]\nid = "dispatch"\nrole = "observer"\ntoken = "{"ab" * 32}"\n'


def test_so_is_a_file_of_accounts_that_everybody_may_read(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    (site / "accounts.toml").write_text(ACCOUNT)
    (site / "accounts.toml").chmod(0o640)
    load(site)
    (site / "accounts.toml").chmod(0o644)
    hashes = "accounts.toml: holds password hashes, and may be read by everybody on this machine, or written by others."
    assert mistakes(site) == [f"{hashes} chmod 600 accounts.toml"]


def test_and_a_certificate_with_its_private_key_beside_it(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    (site / "ours.pem").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n")
    (site / "ours.pem").chmod(0o644)
    (site / "key.pem").write_text("-----BEGIN EC PRIVATE KEY-----\n")
    (site / "key.pem").chmod(0o600)
    change(site, "site.toml", "port = 0", 'port = 0\ncert_file = "ours.pem"\nkey_file = "key.pem"')
    (mistake,) = mistakes(site)
    assert mistake.startswith("site.toml: console.cert_file: 'ours.pem' holds a private key too, and may be read by")


def test_every_file_that_configuration_names_is_marked_as_a_secret_or_as_none() -> None:
    models = [m for m in vars(schema).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    fields = [(f"{m.__name__}.{name}", info) for m in models for name, info in m.model_fields.items()]
    named = {name: info for name, info in fields if name.endswith("_file")}
    assert len(named) > 15
    assert [name for name, info in named.items() if not any(isinstance(x, NamesFile) for x in info.metadata)] == []
