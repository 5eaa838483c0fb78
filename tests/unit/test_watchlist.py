"""Texts near a watched plate, as tokens."""

from hypothesis import given
from hypothesis import strategies as st

from sensors.plates import token
from sensors.watchlist import LETTERS, near_texts, texts_near, watched_tokens
from tests.builders import KEY

PLATES = st.text(LETTERS, min_size=3, max_size=6)


@given(PLATES, st.integers(0, 5), st.sampled_from(LETTERS))
def test_a_letter_changed_added_or_left_out_is_one_edit(plate: str, at: int, letter: str) -> None:
    near = near_texts(plate, 1)
    at %= len(plate)
    for text in (plate[:at] + letter + plate[at + 1 :], plate[:at] + letter + plate[at:], plate[:at] + plate[at + 1 :]):
        assert near[text] == (text != plate)


@given(PLATES)
def test_the_bound_on_the_number_of_near_texts_holds(plate: str) -> None:
    assert len(near_texts(plate, 1)) <= texts_near(len(plate), 1)
    assert near_texts(plate, 0) == {plate: 0}


def test_two_edits_are_found() -> None:
    found = near_texts("ABC", 2)
    assert found["AXYC"] == 2
    assert len(found) <= texts_near(3, 2)


def test_a_text_near_two_plates_counts_for_the_nearer() -> None:
    found = {text: (own, edits) for text, own, edits in watched_tokens(KEY, ["abc 123", "ABC124"], 1)}
    assert found[token(KEY, "ABC124")] == (token(KEY, "ABC124"), 0)
    assert found[token(KEY, "AB123")] == (token(KEY, "ABC123"), 1)
    assert sorted(found) == [text for text, _, _ in watched_tokens(KEY, ["abc 123", "ABC124"], 1)]
