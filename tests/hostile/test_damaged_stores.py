"""Damaged history files, vault and picture store: never silently wrong."""

from pathlib import Path

import numpy as np
import pytest

from history.embedded import VERSION_FILE, EmbeddedStore
from history.manifest import FILE as MANIFEST_FILE
from history.manifest import Manifest, write_manifest
from history.store import Query
from model.stored import Damaged, NewerFormat
from model.time import NS
from sensors.readings import PlateText
from sensors.vault import Pictures, Shown, Vault
from tests.builders import T0
from tests.shell.test_history import detections

ALL = Query("detections", 0, 1 << 62)


def flipped(path: Path, seed: int) -> None:
    random, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    path.write_bytes(data)


def history(folder: Path, segments: int, ahead: int) -> list[int]:
    """A folder with so many segments and batches of a write-ahead file; the times of all rows."""
    store, second = EmbeddedStore(folder, True, rows_max=3), 0
    for _ in range(segments):
        store.write("detections", detections([second, second + 1, second + 2]), second)
        store.flush()
        second += 3
    for _ in range(ahead):
        store.write("detections", detections([second]), second)
        store.flush()
        second += 1
    store._lock.close()  # as after kill -9
    return EmbeddedStore(folder).query(ALL)["time_ns"].to_pylist()


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_a_segment_leaves_it_out_and_says_so(seed: int, tmp_path: Path) -> None:
    times = history(tmp_path, 3, 0)
    path = sorted((tmp_path / "detections").glob("*.parquet"))[1]
    flipped(path, seed)
    store = EmbeddedStore(tmp_path)
    assert store.query(ALL)["time_ns"].to_pylist() == times[:3] + times[6:]
    assert len(store.damaged) == 1
    store = EmbeddedStore(tmp_path, True)  # the writer starts all the same
    store.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_a_write_ahead_file_costs_rows_that_are_named_or_none(seed: int, tmp_path: Path) -> None:
    times = history(tmp_path, 0, 2)
    whole = EmbeddedStore(tmp_path).query(ALL)
    flipped(next((tmp_path / "detections").glob("*.arrow")), seed)
    store = EmbeddedStore(tmp_path)
    found = store.query(ALL)
    assert store.damaged or found.equals(whole)
    assert set(found["time_ns"].to_pylist()) <= set(times)
    store = EmbeddedStore(tmp_path, True)
    store.close()


def test_a_history_of_a_later_format_is_one_sentence(tmp_path: Path) -> None:
    history(tmp_path, 1, 0)
    (tmp_path / VERSION_FILE).write_text("9\n")
    write_manifest(tmp_path, Manifest(9, {}, {}))
    for write in (False, True):
        with pytest.raises(NewerFormat, match="format 9"):
            EmbeddedStore(tmp_path, write)


def test_a_sealed_row_that_was_changed_does_not_open_and_says_so(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.seal([PlateText(5, "TST0001", T0, 1), PlateText(6, "TST0002", T0, 1)])
    vault._db.execute(
        "UPDATE plates SET sealed = (SELECT sealed FROM plates WHERE token = 6), "
        "nonce = (SELECT nonce FROM plates WHERE token = 6) WHERE token = 5"
    )
    with pytest.raises(Damaged, match=r"plates\.db"):
        vault.reveal(5)
    assert [r.plate for r in vault.reveal(6)] == ["TST0002"]
    vault.close()


def test_a_picture_that_was_changed_is_not_shown_and_it_says_so(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    pictures.keep([("cam-1", Shown(T0, "person", b"jpeg"))])
    pictures._db.execute("UPDATE pictures SET received_ns = received_ns + 1")
    with pytest.raises(Damaged, match=r"pictures\.db"):
        pictures.newest("cam-1", T0 - NS, T0 + NS)
    pictures.close()


def test_a_vault_of_a_later_format_is_one_sentence(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault._db.execute("PRAGMA user_version = 9")
    vault.close()
    with pytest.raises(NewerFormat, match="format 9"):
        Vault(tmp_path)


def removed_segment(folder: Path) -> str:
    """Of three segments, the second is removed; its name."""
    history(folder, 3, 1)
    path = sorted((folder / "detections").glob("*.parquet"))[1]
    path.unlink()
    return path.name


def test_a_segment_that_was_removed_is_missed_by_reader_and_writer_until_its_retention_ends(tmp_path: Path) -> None:
    name = removed_segment(tmp_path)
    for _ in range(2):
        store = EmbeddedStore(tmp_path)
        rows = store.query(ALL)
        assert rows.num_rows == 7
        assert [name in text and "is missing" in text for text in store.damaged] == [True]
        assert store.query(Query("detections", 0, rows["time_ns"][0].as_py() + NS)).num_rows == 1
        assert store.damaged == [], "it held nothing of that time"
        store = EmbeddedStore(tmp_path, True)
        assert [name in text for text in store.damaged] == [True]
        store.close()
    store = EmbeddedStore(tmp_path, True)
    store.forget_before(rows["time_ns"][-1].as_py() + NS)
    store.close()
    assert EmbeddedStore(tmp_path, True).damaged == []


def test_the_number_of_a_segment_that_is_missing_does_not_come_again(tmp_path: Path) -> None:
    history(tmp_path, 2, 0)
    sorted((tmp_path / "detections").glob("*.parquet"))[1].unlink()
    store = EmbeddedStore(tmp_path, True)
    store.write("detections", detections([50]), 50)
    assert (tmp_path / "detections" / "00000003.arrow").exists()
    store.close()


def test_a_write_ahead_file_that_was_removed_is_missed(tmp_path: Path) -> None:
    history(tmp_path, 1, 2)
    next((tmp_path / "detections").glob("*.arrow")).unlink()
    for write in (False, True):
        store = EmbeddedStore(tmp_path, write)
        if not write:
            store.query(ALL)
        assert [("00000002.arrow is missing" in text) for text in store.damaged] == [True]
        store.close()


def test_a_list_of_files_that_is_damaged_or_gone_says_so_and_is_made_anew(tmp_path: Path) -> None:
    history(tmp_path, 2, 0)
    whole = (tmp_path / MANIFEST_FILE).read_bytes()
    for damage in (whole[:-3], whole.replace(b"0", b"1", 1), b"", None):
        (tmp_path / MANIFEST_FILE).unlink() if damage is None else (tmp_path / MANIFEST_FILE).write_bytes(damage)
        store = EmbeddedStore(tmp_path, True)
        assert len(store.damaged) == 1
        store.close()
        assert (tmp_path / MANIFEST_FILE).read_bytes() == whole


def test_a_write_ahead_file_whose_columns_have_other_names_is_left_out_and_told(tmp_path: Path) -> None:
    history(tmp_path, 0, 2)
    path = next((tmp_path / "detections").glob("*.arrow"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"sensor", b"sensos"))
    for write in (False, True):
        store = EmbeddedStore(tmp_path, write)
        if not write:
            assert store.query(ALL).num_rows == 0
        assert ["is damaged" in text for text in store.damaged] == [True]
        store.close()
