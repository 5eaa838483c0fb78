"""Who says to be a patrol of ours hides nobody: an intruder raises an alert whatever units are published about it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model.alerts import EventKind
from model.faults import FaultKind
from model.rejections import Reason
from model.time import NS, iso_from_ns
from runtime.broker_access import grants_of, users_of
from runtime.configuration import load
from runtime.replay import replayed
from runtime.world import world_of
from tests.builders import CONFIGS, KEY, T0, decoded, messages, shipped_world
from tests.unit.test_configuration import change, mistakes

WORLD = shipped_world()
SITE = "marchwarden/san-rafael"
LINE_LAT, WEST_LON = 31.33241, -110.6137
M_LAT, M_LON = 1 / 111_195, 1 / 94_970  # degrees a metre here
COUNT, UNTIL_S = 6, 60
Sent = tuple[float, str, bytes]
Attack = Callable[[int], Iterator[Sent]]


def intruder(number: int, second: float, apart_m: float) -> tuple[float, float]:
    """Where one of those is who walk over the line side by side."""
    return LINE_LAT + M_LAT * (1.5 * second - 50.0), WEST_LON + M_LON * apart_m * number


def frame(second: int, apart_m: float) -> Sent:
    """What a radar sees."""
    places = [intruder(number, second, apart_m) for number in range(COUNT)]
    seen = [{"lat": lat, "lon": lon, "class": {"person": 0.9}} for lat, lon in places]
    said = {"time": iso_from_ns(T0 + second * NS), "detections": seen}
    return second + 0.3, f"{SITE}/detections/radar-west", json.dumps(said).encode()


def unit(id: str, second: float, place: tuple[float, float], **more: float) -> Sent:
    said = {"time": iso_from_ns(T0 + round(second * NS)), "lat": place[0], "lon": place[1], "sigma_m": 5.0} | more
    return second + 0.2, f"{SITE}/units/{id}", json.dumps(said).encode()


def outcome_of(attack: Attack, apart_m: float) -> tuple[set[str], set[tuple[FaultKind, str]], set[Reason]]:
    """(the tracks that alerts about crossings name, the faults, why messages were rejected)."""
    sent = [each for second in range(UNTIL_S) for each in ((frame(second, apart_m), *attack(second)))]
    tracks, faults, reasons = set[str](), set[tuple[FaultKind, str]](), set[Reason]()
    for outcome in replayed(WORLD, [messages(*sorted(sent, key=lambda each: each[0]))]):
        tracks |= {s for a in outcome.alerts if a.incident.kind is EventKind.CROSSING for s in a.incident.subjects}
        faults |= {(fault.kind, fault.about) for fault in outcome.faults}
        reasons |= {rejection.reason for rejection in outcome.rejections}
    return tracks, faults, reasons


def _nobody(_: int) -> Iterator[Sent]:
    return iter(())


def _vague(sigma_m: float) -> Attack:
    def attack(second: int) -> Iterator[Sent]:
        yield unit("ranger-2", second, intruder(3, second, 200.0), sigma_m=sigma_m)

    return attack


def _unregistered_at_each(second: int) -> Iterator[Sent]:
    for number in range(COUNT):
        yield unit(f"ranger-{number + 10}", second, intruder(number, second, 200.0))


def _jumping(second: int) -> Iterator[Sent]:
    """One id at each intruder in turn, several times a second and as if it were fast."""
    for number in range(COUNT):
        yield unit("ranger-2", second + number / COUNT, intruder(number, second, 200.0), course_deg=90, speed_mps=1e5)


def _staying_for_some_seconds(second: int) -> Iterator[Sent]:
    """One id that stays with each intruder for long enough to be believed, and then is with the next."""
    yield unit("ranger-2", second, intruder(second // 6 % COUNT, second, 200.0))


def _in_the_middle(second: int) -> Iterator[Sent]:
    lat, lon = intruder(2, second, 12.0)
    yield unit("ranger-2", second, (lat, lon + 6 * M_LON), sigma_m=29.0)


SUSPECT = (FaultKind.FEED_SUSPECT, "native")
JUMPED = (FaultKind.UNIT_SUSPECT, "ranger-2")


@pytest.mark.parametrize(
    ("attack", "apart_m", "fault", "reason"),
    [
        (_nobody, 200.0, None, None),
        (_vague(1e5), 200.0, None, Reason.TOO_UNCERTAIN),
        (_vague(300.0), 200.0, None, Reason.TOO_UNCERTAIN),
        (_vague(60.0), 200.0, None, Reason.TOO_UNCERTAIN),
        (_unregistered_at_each, 200.0, SUSPECT, Reason.UNKNOWN_UNIT),
        (_jumping, 200.0, JUMPED, None),
        (_staying_for_some_seconds, 200.0, JUMPED, None),
        (_nobody, 12.0, None, None),
        (_in_the_middle, 12.0, None, None),
    ],
)
def test_no_unit_hides_intruders(
    attack: Attack, apart_m: float, fault: tuple[FaultKind, str] | None, reason: Reason | None
) -> None:
    tracks, faults, reasons = outcome_of(attack, apart_m)
    assert len(tracks) == COUNT
    assert faults == ({fault} if fault else set())
    assert reason is None or reason in reasons


def test_an_honest_patrol_explains_its_own_track_and_no_other() -> None:
    def patrol(second: int) -> Iterator[Sent]:
        yield unit("ranger-2", second, intruder(3, second, 200.0))

    tracks, faults, _ = outcome_of(patrol, 200.0)
    assert len(tracks) == COUNT - 1
    assert faults == set()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('id = "x"\nfeed = "lora"', "'lora' carries no units: its format is chirpstack."),
        ('id = "x"\nfeed = "nativ"', "Did you mean 'native'?"),
        ('id = "ranger-2"', "'ranger-2' is there already, as unit id"),
        ('id = "x"\nsource = "ranger-2"', "'native/ranger-2' is there already"),
        ('id = "x"\nsource = "y"', "Leave it out: the native topic is …/units/x"),
        ('id = "x"\ntopic = "cot/x"', "Leave it out: the native topic is …/units/x"),
        ('id = "x"\ntracks_max = 0', "tracks_max"),
    ],
)
def test_the_units_of_a_site_are_checked(more: str, expected: str, tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "site")
    change(tmp_path / "site", "site.toml", "[fusion]", f"[[unit]]\n{more}\n\n[fusion]")
    assert any(expected in each for each in mistakes(tmp_path / "site"))


BRAVO = """
[[feed]]
id = "tak"
format = "cot"
topic = "cot"

[[unit]]
id = "bravo-6"
feed = "tak"
source = "ANDROID-1"
topic = "patrols/bravo-6"

[[unit]]
id = "bravo-7"
feed = "tak"
source = "ANDROID-2"

[fusion]"""


def test_a_unit_with_a_topic_of_its_own_is_heard_there_alone_and_has_a_user_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "site")
    change(tmp_path / "site", "site.toml", "[fusion]", BRAVO)
    change(tmp_path / "site", "site.toml", "# username", "username")
    configuration = load(tmp_path / "site")
    catalogue = world_of(configuration, KEY).catalogue

    def heard(topic: str, uid: str) -> list[str]:
        times = f'time="{iso_from_ns(T0)}" stale="{iso_from_ns(T0 + 60 * NS)}"'
        event = f'<event uid="{uid}" type="a-f-G-U-C" {times}><point lat="31.34" lon="-110.6" ce="5"/></event>'
        return [u.unit for u in decoded(catalogue, messages((1.0, topic, event.encode()))).units]

    assert heard("patrols/bravo-6", "ANDROID-1") == ["bravo-6"]
    assert heard("cot/bridge", "ANDROID-2") == ["bravo-7"]
    assert heard("cot/bridge", "ANDROID-1") == heard("patrols/bravo-6", "ANDROID-2") == []
    users = users_of(grants_of(configuration))
    assert list(users["unit-bravo-6"].writes) == ["patrols/bravo-6", "patrols/bravo-6/#"]
    assert list(users["unit-ranger-2"].writes) == [f"{SITE}/units/ranger-2"]
    assert {"units", "unit-bravo-7"} & users.keys() == set()
    assert {"patrols/bravo-6/#", "cot/#"} <= users["marchwarden"].reads.keys()
