"""Rules tried on the past: the history of a real run of the pipeline, judged again."""

import json
from pathlib import Path

import pytest

from model.time import NS, iso_from_ns
from tests.shell.conftest import Past
from tests.site import marchwarden


def tried(past: Past, rule: object, *more: str) -> list[dict[str, object]]:
    times = ("--from", iso_from_ns(past.start_ns), "--to", iso_from_ns(past.start_ns + 300 * NS))
    done = marchwarden("rules", "try", past.site, rule, *times, "--json", "--reason", "test", *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_rule_of_the_site_raises_from_the_history_what_it_raised_then(past: Past) -> None:
    assert "inbound-crossing" in past.raised
    again = tried(past, "inbound-crossing")
    crossed = [r for r in again if r["revision"] == 1]
    assert 1 <= len(crossed) <= 3
    assert {r["rule"] for r in again} == {"inbound-crossing"}
    assert tried(past, "pumping-station", "--to", iso_from_ns(past.start_ns + 10 * NS)) == []


def test_a_rule_that_is_not_in_force_can_be_tried_from_a_file(past: Past, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text('[[rule]]\nid = "two"\nkind = "group"\nclasses = ["person"]\ncount_min = 2\nwithin_m = 60.0\n')
    assert any(r["reason"]["kind"] == "group" for r in tried(past, new))  # type: ignore[index]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("inbound-crosing", "Did you mean 'inbound-crossing'?"),
        ("silent-sensors", "Replay a recording with it instead"),
    ],
)
def test_what_cannot_be_tried_is_said_with_the_way_out(past: Past, rule: str, said: str) -> None:
    done = marchwarden("rules", "try", past.site, rule)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_plate_that_was_read_can_be_looked_for_afterwards(past: Past, tmp_path: Path) -> None:
    new = tmp_path / "plate.toml"
    new.write_text('[[rule]]\nid = "seen"\nkind = "watched_plate"\nplates = ["TST0001"]\n')
    assert [r["revision"] for r in tried(past, new)][:1] == [1]
