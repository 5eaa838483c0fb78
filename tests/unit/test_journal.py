"""The journal, its keys, and the vault of sealed plates."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.messages import Messages
from model.time import DAY_NS, NS
from sensors.journal import JournalDamaged, JournalTaken, Position, Writer, forget_before, read
from sensors.keys import DayKeys, lasting_key
from sensors.readings import PlateText
from sensors.vault import Vault
from tests.builders import T0, messages

START = Position(0, 0)


def keys(folder: Path) -> DayKeys:
    return DayKeys(folder / "keys", "journal")


def written(folder: Path, *batches: Messages) -> Path:
    with Writer(folder / "journal", keys(folder)) as journal:
        for batch in batches:
            journal.append(batch)
            journal.sync()
    return folder / "journal"


def contents(folder: Path, start: Position = START) -> list[tuple[int, str, bytes, bool]]:
    return [row for frame in read(folder / "journal", keys(folder), start) for row in rows(frame.messages)]


def rows(batch: Messages) -> list[tuple[int, str, bytes, bool]]:
    return list(zip(batch.received_ns.tolist(), batch.topics, batch.payloads, batch.retained.tolist(), strict=True))


BATCH = st.lists(
    st.tuples(st.text(min_size=1, max_size=10), st.binary(max_size=40), st.booleans()), min_size=1, max_size=20
)


@settings(deadline=None, max_examples=30)
@given(said=st.lists(BATCH, min_size=1, max_size=5))
def test_what_is_read_is_what_was_written_whatever_it_was(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[tuple[str, bytes, bool]]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    batches = []
    for number, batch in enumerate(said):
        topics, payloads, retained = zip(*batch, strict=True)
        times = np.arange(len(batch)) + T0 + 100 * number
        batches.append(Messages(times, topics, payloads, np.array(retained)))
    written(folder, *batches)
    assert contents(folder) == [row for batch in batches for row in rows(batch)]


def test_nothing_of_a_message_can_be_read_without_the_key(tmp_path: Path) -> None:
    journal = written(tmp_path, messages((0, "secret/topic", b"TST0001")))
    kept = b"".join(path.read_bytes() for path in journal.glob("*.journal"))
    assert b"TST0001" not in kept
    assert b"secret" not in kept


def test_a_torn_frame_at_any_byte_costs_that_frame_only_and_writing_goes_on(tmp_path: Path) -> None:
    first, second = messages((0, "a", b"one"), (1, "b", b"two")), messages((2, "c", b"three"))
    journal = written(tmp_path, first, second)
    segment = next(journal.glob("*.journal"))
    whole = next(read(journal, keys(tmp_path), START)).next.offset
    full = segment.read_bytes()
    for cut in range(whole, len(full)):
        segment.write_bytes(full[:cut])
        assert contents(tmp_path) == rows(first)
    written(tmp_path, second)
    assert contents(tmp_path) == rows(first) + rows(second)
    assert segment.stat().st_size == whole


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    journal = written(tmp_path, messages((0, "a", b"one")), messages((1, "b", b"two")))
    segment = next(journal.glob("*.journal"))
    full = segment.read_bytes()
    for at in range(0, len(full) // 2, 3):
        segment.write_bytes(full[:at] + bytes([full[at] ^ 1]) + full[at + 1 :])
        with pytest.raises(JournalDamaged):
            # A changed length may look like a frame that is still being written; then nothing of it is given out.
            if contents(tmp_path) != rows(messages((0, "a", b"one"), (1, "b", b"two"))):
                raise JournalDamaged("Nothing of it was given out.", START)


def test_reading_goes_on_from_a_position(tmp_path: Path) -> None:
    written(tmp_path, messages((0, "a", b"one")), messages((1, "b", b"two")))
    frames = list(read(tmp_path / "journal", keys(tmp_path), Position(0, 0)))
    assert contents(tmp_path, frames[0].next) == rows(messages((1, "b", b"two")))
    assert Position.of(frames[1].next.number()) == frames[1].next


def test_times_never_go_back_even_when_the_clock_does(tmp_path: Path) -> None:
    written(tmp_path, messages((10, "a", b"")))
    written(tmp_path, messages((5, "b", b"")))
    assert [t for t, _, _, _ in contents(tmp_path)] == [T0 + 10 * NS] * 2


def test_there_is_one_writer(tmp_path: Path) -> None:
    with Writer(tmp_path / "journal", keys(tmp_path)), pytest.raises(JournalTaken):
        Writer(tmp_path / "journal", keys(tmp_path))


def test_segments_roll_over_and_are_read_in_order(tmp_path: Path) -> None:
    with Writer(tmp_path / "journal", keys(tmp_path), segment_bytes=200) as journal:
        for n in range(20):
            journal.append(messages((n, "t", b"x" * 50)))
            journal.tick(T0 + n * NS + 1)
    assert len(list((tmp_path / "journal").glob("*.journal"))) > 3
    assert [t for t, _, _, _ in contents(tmp_path)] == [T0 + n * NS for n in range(20)]


def test_a_day_is_forgotten_by_destroying_its_key(tmp_path: Path) -> None:
    written(tmp_path, messages((0, "old", b"")), messages((86_400.0 * 2, "new", b"")))
    copy = {path.name: path.read_bytes() for path in (tmp_path / "journal").glob("*.journal")}
    days = forget_before(tmp_path / "journal", keys(tmp_path), T0 + DAY_NS + DAY_NS // 2)
    assert len(days) == 1
    assert [topic for _, topic, _, _ in contents(tmp_path)] == ["new"]
    for name, data in copy.items():  # even a copy that was kept elsewhere can't be read any more
        (tmp_path / "journal" / name).write_bytes(data)
    with pytest.raises(JournalDamaged, match=r"the key of .* is gone") as gone:
        contents(tmp_path)
    assert [topic for _, topic, _, _ in contents(tmp_path, gone.value.next)] == ["new"]


def test_keys_are_for_their_owner_only_and_last(tmp_path: Path) -> None:
    key = lasting_key(tmp_path / "k" / "plates.key")
    assert lasting_key(tmp_path / "k" / "plates.key") == key
    assert (tmp_path / "k" / "plates.key").stat().st_mode & 0o077 == 0


def test_a_sealed_plate_can_be_revealed_until_its_day_is_forgotten(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    token = 2**64 - 5
    vault.seal([PlateText(token, "TST0001", T0, 1), PlateText(token, "TST0001", T0 + NS, 2)])
    assert [r.plate for r in vault.reveal(token)] == ["TST0001"]
    assert b"TST0001" not in b"".join(p.read_bytes() for p in tmp_path.glob("plates.db*"))
    vault.forget_before(T0 + 2 * DAY_NS)
    assert vault.reveal(token) == []
    vault.close()


def test_numbering_goes_on_when_all_that_was_written_has_been_forgotten(tmp_path: Path) -> None:
    written(tmp_path, messages((0, "old", b"")))
    after = list(read(tmp_path / "journal", keys(tmp_path), START))[-1].next
    forget_before(tmp_path / "journal", keys(tmp_path), T0 + 3 * DAY_NS)
    assert contents(tmp_path) == []
    written(tmp_path, messages((86_400.0 * 4, "new", b"")))
    assert [topic for _, topic, _, _ in contents(tmp_path, after)] == ["new"]


def test_a_reader_ahead_of_what_a_power_failure_left_misses_nothing_that_is_written_after(tmp_path: Path) -> None:
    journal = written(tmp_path, messages((0, "a", b"one")), messages((1, "b", b"lost with the power")))
    frames = list(read(journal, keys(tmp_path), START))
    segment = next(journal.glob("*.journal"))
    segment.write_bytes(segment.read_bytes()[: frames[0].next.offset])
    later = [messages((2 + n, f"t{n}", b"x" * 200)) for n in range(3)]
    written(tmp_path, *later)
    with pytest.raises(JournalDamaged, match="bytes before the place") as lost:
        contents(tmp_path, frames[1].next)
    assert contents(tmp_path, lost.value.next) == [row for batch in later for row in rows(batch)]


def test_opening_a_journal_with_a_damaged_frame_cuts_nothing_off_behind_it(tmp_path: Path) -> None:
    batches = [messages((n, "t", b"x" * 100)) for n in range(3)]
    journal = written(tmp_path, *batches)
    segment = next(journal.glob("*.journal"))
    frames = list(read(journal, keys(tmp_path), START))
    data = bytearray(segment.read_bytes())
    data[frames[0].next.offset + 60] ^= 1  # in the body of the second
    segment.write_bytes(bytes(data))
    written(tmp_path, messages((9, "after", b"")))
    assert segment.stat().st_size == len(data)
    with pytest.raises(JournalDamaged) as told:
        contents(tmp_path)
    assert contents(tmp_path, told.value.next) == rows(batches[2]) + rows(messages((9, "after", b"")))


def test_a_wrong_key_is_said_with_its_place(tmp_path: Path) -> None:
    written(tmp_path, messages((0, "a", b"one")))
    key = next((tmp_path / "keys").glob("*.key"))
    key.write_bytes(bytes(32))
    with pytest.raises(JournalDamaged, match=r"00000001-.*\.journal .*key"):
        contents(tmp_path)


def test_a_key_that_many_make_at_once_is_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        for n in range(20):
            path = tmp_path / f"k{n}" / "plates.key"
            found = set(pool.map(lambda _, path=path: lasting_key(path), range(16)))
            assert len(found) == 1
            assert [p.name for p in path.parent.iterdir()] == ["plates.key"]
