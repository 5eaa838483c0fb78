"""What earlier versions stored is read and brought to the format of now.

`tests/data/state-67afa47.tar.xz` is a state folder that commit 67afa47 wrote and left without closing it: four open incidents
with undelivered alerts, a silence, journal, history with segments and write-ahead files, plates and a picture.
"""

import tarfile
from pathlib import Path

import pytest

from history.embedded import VERSION_FILE, EmbeddedStore
from history.store import Query
from history.tables import KINDS
from sensors.journal import FRAME_MAGIC, Position, read
from sensors.keys import DayKeys
from sensors.vault import Pictures, Vault

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(DATA / "state-67afa47.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"


def test_a_journal_of_format_1_is_read(old: Path) -> None:
    assert next((old / "journal").glob("*.journal")).read_bytes()[:4] == FRAME_MAGIC[1]
    frames = list(read(old / "journal", DayKeys(old / "keys", "journal"), Position(0, 0)))
    assert sum(len(frame.messages) for frame in frames) == 275


def test_a_history_of_format_1_is_read_and_taken_over(old: Path) -> None:
    folder = old / "history"
    before = {kind: EmbeddedStore(folder).query(Query(kind, 0, 1 << 62)) for kind in KINDS}
    assert all(table.num_rows for table in before.values())
    store = EmbeddedStore(folder, True)
    store.close()
    assert (folder / VERSION_FILE).read_text() == "2\n"
    assert all(len(path.stem.split("-")) == 4 for path in folder.glob("*/*.parquet"))
    assert store.damaged == []
    for kind in KINDS:
        assert EmbeddedStore(folder).query(Query(kind, 0, 1 << 62)).equals(before[kind])


def test_a_vault_and_pictures_of_format_1_are_sealed_anew_and_open_as_before(old: Path) -> None:
    vault = Vault(old / "vault")
    tokens = [token for (token,) in vault._db.execute("SELECT token FROM plates")]
    assert tokens
    assert all(len(vault.reveal(token % (1 << 64))) == 1 for token in tokens)
    vault.close()
    pictures = Pictures(old / "vault")
    sensor, at_ns = pictures._db.execute("SELECT sensor, received_ns FROM pictures").fetchone()
    found = pictures.newest(sensor, at_ns, at_ns)
    assert found is not None
    assert found.jpeg[:2] == b"\xff\xd8"
    pictures.close()
