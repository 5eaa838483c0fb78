"""One sensor that raises more than anybody can read must not hide what the others see."""

from model.alerts import EventKind
from model.tracks import Tracks
from tests.script import Script, ground, rule, track

CROSSING = rule(EventKind.CROSSING, places=(0,), direction=1, to_lines=True)


def walkers(second: int, count: int, sensor: int, first: int, x_m: float) -> list[Tracks]:
    """So many who walk north over the line, 300 m from each other, in view of one sensor."""
    return [
        track(first + n, (x_m + 300.0 * n, -20.0 + 2.0 * second), (0.0, 2.0), seen_by=(sensor,)) for n in range(count)
    ]


def test_what_other_sensors_see_is_told_by_itself_during_one_sensors_storm() -> None:
    script = Script(ground(CROSSING))
    for second in range(30):
        tracks = walkers(second, 25, 0, 1, -8000.0)
        if second >= 10:
            tracks += walkers(second - 10, 3, 1, 101, 6000.0)
        script.at(second, *tracks)
    raised = [alert.incident for _, alert in script.told if alert.why == "raised"]
    storm = [incident for incident in raised if incident.storm]
    honest = [incident for incident in raised if {e.sensor for e in incident.evidence} == {"cam-2"}]
    assert len(storm) == 1
    assert len(honest) == 3
    assert len(raised) <= 20 + 1 + 3


def test_a_storm_of_many_sensors_is_gathered_once_each_has_raised_its_share() -> None:
    script = Script(ground(CROSSING))
    for second in range(40):
        tracks = walkers(second, 25, 0, 1, -8000.0)
        if second >= 10:
            tracks += walkers(second - 10, 5, 1, 101, 2000.0)
        if second >= 25:
            tracks += walkers(second - 25, 5, 1, 201, 5000.0)
        script.at(second, *tracks)
    raised = [alert.incident for _, alert in script.told if alert.why == "raised"]
    assert len([i for i in raised if {e.sensor for e in i.evidence} == {"cam-2"}]) == 5
