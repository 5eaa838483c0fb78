"""The accepted configuration as it is kept: whole, found again whatever site.toml looks like, and damage noticed."""

import shutil
from pathlib import Path

import pytest

from runtime.accepted import Accepted, AcceptedDamaged, accept, accepted, configuration_in_use, state_folder
from runtime.configuration import load
from runtime.mistakes import Mistakes
from tests.site import site_at

NOW_NS = 1_795_000_000_000_000_000


def accept_at(site: Path, now_ns: int = NOW_NS) -> Accepted:
    return accept(load(site), now_ns)


def found(site: Path) -> Accepted:
    last = accepted(site)
    assert last is not None
    return last


def test_what_was_accepted_is_read_back_the_same_however_the_folder_changes(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    shutil.move(site / "zones.geojson", tmp_path / "zones.geojson")
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text + f'[files]\nzones = "../zones.geojson"\nborder = "{site}/border.geojson"\n')
    before = accept_at(site)
    for path in (*site.glob("*.*"), *(site / "sensors").iterdir(), tmp_path / "zones.geojson"):
        path.unlink()
    after = found(site)
    assert after.digest == before.digest
    assert after.configuration.site == before.configuration.site
    assert [w.value for w in after.configuration.sensors] == [w.value for w in before.configuration.sensors]
    assert [d.properties for d in after.configuration.zones] == [d.properties for d in before.configuration.zones]
    assert [d.geometry for d in after.configuration.lines] == [d.geometry for d in before.configuration.lines]
    assert after.configuration.state == site / "state"


def test_files_that_the_configuration_names_are_kept_and_the_plate_key_is_not(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    text = (site / "site.toml").read_text()
    text = text.replace("[mqtt]\n", '[mqtt]\npassword_file = "secret/mqtt"\n')
    (site / "site.toml").write_text(text.replace("[privacy]\n", '[privacy]\nplate_key_file = "plates.key"\n'))
    (site / "secret").mkdir()
    (site / "secret" / "mqtt").write_text("hush")
    (site / "plates.key").write_bytes(bytes(32))
    for secret in ("secret/mqtt", "plates.key"):
        (site / secret).chmod(0o600)
    accept_at(site)
    (site / "secret" / "mqtt").unlink()
    kept = found(site).configuration
    assert kept.path("secret/mqtt").read_text() == "hush"
    assert kept.path("secret/mqtt").stat().st_mode & 0o077 == 0
    assert kept.path("plates.key") == site / "plates.key"
    assert not [p for p in (site / "state").rglob("*") if p.is_file() and p.read_bytes() == bytes(32)]


def test_accepting_the_same_again_changes_nothing_and_something_else_leaves_one_before(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    first = accept_at(site)
    assert accept_at(site, NOW_NS + 1).time == first.time
    for n in range(4):
        (site / "rules.toml").write_text((site / "rules.toml").read_text() + f"\n# {n}\n")
        accept_at(site, NOW_NS + n)
    folders = [p for p in (site / "state" / "configuration").iterdir() if not p.is_symlink()]
    assert len(folders) == 2
    assert found(site).digest != first.digest


def test_a_copy_that_is_damaged_is_noticed_and_written_anew_when_it_is_accepted_again(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    before = accept_at(site)
    (site / "state" / "configuration" / "accepted" / "rules.toml").write_text("")
    with pytest.raises(AcceptedDamaged, match=r"rules\.toml of the accepted configuration is not as it was written"):
        accepted(site)
    assert configuration_in_use(site).rules, "the folder's own is used where the copy cannot be"
    (site / "rules.toml").unlink()
    with pytest.raises(Mistakes):
        configuration_in_use(site)
    accept(before.configuration, NOW_NS + 1)
    assert found(site).digest == before.digest


@pytest.mark.parametrize("keep", [0, 1, 40])
def test_a_manifest_that_is_cut_off_is_noticed(tmp_path: Path, keep: int) -> None:
    site = site_at(tmp_path)
    accept_at(site)
    manifest = site / "state" / "configuration" / "accepted" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:keep])
    with pytest.raises(AcceptedDamaged, match="cannot be read"):
        accepted(site)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (None, "state"),
        ("", "state"),
        ("[files]\nstate = 'kept'\n", "kept"),
        ("[files]\nstate = '/var/lib/marchwarden'\n", "/var/lib/marchwarden"),
        ("[files]\nstate = 7\n", "state"),
        ("files = 7\n", "state"),
        ('[mqtt\n[files]\nstate = "kept"  # where it lies\n', "kept"),
        ('[site]\ntitle = "\xff', "state"),
    ],
)
def test_the_state_is_found_whatever_is_wrong_with_site_toml(tmp_path: Path, text: str | None, state: str) -> None:
    if text is not None:
        (tmp_path / "site.toml").write_bytes(text.encode("latin-1"))
    assert state_folder(tmp_path) == tmp_path / state


def test_a_manifest_whose_time_has_changed_is_not_believed(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    time = accept_at(site).time.encode()
    path = site / "state" / "configuration" / "accepted" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(time, b"2027" + time[4:]))
    with pytest.raises(AcceptedDamaged):
        accepted(site)
