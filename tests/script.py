"""Alerting as a script in time: `at(…)` moves tracks and the clock, `want(…)` says which alerts came, between when."""

from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from alerts.dispatch import dispatched
from alerts.judge import AlertsState, judged, untold
from alerts.rules import Agency, Agreement, Channel, Clears, Ground, Habits, Inhibition, Rule, Rung
from geo.frames import wgs84_from_plane
from geo.jurisdictions import jurisdictions_of
from geo.zones import lines_of, zones_of
from model.alerts import Action, Alert, Delivery, EventKind, Incident, Withheld
from model.classes import CLASSES
from model.detections import Detections
from model.faults import Fault
from model.health import Health
from model.time import NS
from model.tracks import SENSORS_KEPT, Reasons, Scan, Tracks, What
from model.units import RegisteredUnit, UnitReport
from sensors.health import unheard
from tests.builders import ONE_SECTOR, T0, sensors

IDS = ("cam-1", "cam-2", "pir-1", "alpr-1")
SECOND = NS
ALL = tuple(range(len(CLASSES)))


def degrees(*xy: tuple[float, float]) -> list[tuple[float, float]]:
    """(longitude, latitude) of places in metres."""
    lat, lon = wgs84_from_plane(ONE_SECTOR, np.zeros(len(xy), np.int16), np.array(xy, np.float64))
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.Polygon(degrees((west, south), (east, south), (east, north), (west, north)))


def rule(kind: EventKind, **more: object) -> Rule:
    base = Rule(
        id=kind.value,
        kind=kind,
        severity="major",
        classes=(0,),
        class_share_min=0.5,
        existence_min=0.9,
        clears=Clears.UNSEEN,
        clear_after_ns=60 * NS,
        repeat_ns=300 * NS,
        join_m=100.0,
        join_ns=60 * NS,
    )
    return replace(base, **more)  # type: ignore[arg-type]


AGENCIES = tuple(
    Agency(id, id.capitalize(), rank, plates, (Channel(f"{id}-mqtt", "mqtt"),))
    for id, rank, plates in (("patrol", 10, True), ("west", 20, False), ("east", 15, True))
)


def with_ladder(id: str, *rungs: Rung, channels: tuple[str, ...] = ()) -> tuple[Agency, ...]:
    """The agencies, one of which escalates."""
    more = tuple(Channel(channel, "mqtt") for channel in channels)
    return tuple(replace(a, ladder=rungs, channels=a.channels + more) if a.id == id else a for a in AGENCIES)


def ground(
    *rules: Rule,
    agencies: tuple[Agency, ...] = AGENCIES,
    agreements: tuple[Agreement, ...] = (),
    inhibitions: tuple[Inhibition, ...] = (),
    habits: Habits = Habits(),  # noqa: B008 - a value
) -> Ground:
    """A line along y = 0 with home to the north, a 100 m square zone north of it, a far one, and two counties that overlap."""
    return Ground(
        site="test",
        rules=rules,
        agencies=agencies,
        agreements=agreements,
        inhibitions=inhibitions,
        habits=habits,
        sectors=ONE_SECTOR,
        zones=zones_of(
            ONE_SECTOR,
            ["yard", "post"],
            ["the yard", "the post"],
            [False, False],
            [box(-50, 100, 50, 200), box(1000, 100, 1100, 200)],
        ),
        lines=lines_of(
            ONE_SECTOR, ["line"], ["the line"], [1], [2.0], [shapely.LineString(degrees((-9000, 0), (9000, 0)))]
        ),
        jurisdictions=jurisdictions_of(
            ONE_SECTOR,
            ["west-county", "east-county"],
            ["west", "east"],
            ["", ""],
            [box(-5000, 0, 200, 5000), box(-200, 0, 5000, 5000)],
        ),
        sensors=sensors(4, silent_after_s=[30.0, np.inf, 60.0, np.inf]),
        sensor_ids=IDS,
        sensor_names=("",) * 4,
        sensor_owners=("patrol", "", "", ""),
        gateways=(),
        gateway=np.full(4, -1, np.int32),
        units={id: RegisteredUnit(id, "", 4) for id in ("patrol-1", "patrol-2")},
        lateness_ns=30 * NS,
    )


def track(
    id: int,
    place: tuple[float, float],
    velocity: tuple[float, float] = (0.0, 0.0),
    sigma_m: float = 2.0,
    seen_by: tuple[int, ...] = (0,),
    kind: str = "person",
    **columns: object,
) -> Tracks:
    likely = np.zeros((1, 6))
    likely[0, CLASSES.index(kind)] = 1.0
    seen = np.full((1, SENSORS_KEPT), -1, np.int32)
    seen[0, : len(seen_by)] = seen_by
    base = Tracks.blank(1).but(
        id=np.array([id], np.uint64),
        mean=np.array([[*place, *velocity]]),
        covariance=np.diag([sigma_m**2, sigma_m**2, 0.25, 0.25])[None],
        existence=np.array([0.99]),
        confirmed=np.array([True]),
        class_probability=likely,
        sensors=seen,
    )
    return base.but(**columns)  # type: ignore[arg-type]


def unit(name: str, at_s: float, place: tuple[float, float], sigma_m: float = 5.0) -> UnitReport:
    """A patrol's word on where it is."""
    ((lon, lat),) = degrees(place)
    time_ns = T0 + round(at_s * NS)
    return UnitReport(name, name, time_ns, None, time_ns, lat, lon, sigma_m, None, None)


@dataclass
class Script:
    """A clock that the test turns."""

    ground: Ground
    state: AlertsState = field(default_factory=untold)
    health: Health = field(default_factory=lambda: unheard(4, T0))
    now_s: float = 0.0
    told: list[tuple[float, Alert]] = field(default_factory=list)
    withheld: list[tuple[float, Withheld]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    sent: list[tuple[float, Delivery]] = field(default_factory=list)

    def at(
        self,
        second: float,
        *tracks: Tracks,
        arrived: Detections | None = None,
        units: tuple[UnitReport, ...] = (),
        actions: tuple[Action, ...] = (),
        reasons: Reasons | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        """One scan, judged at its own end."""
        time_ns, before_ns = T0 + round(second * NS), T0 + round(self.now_s * NS)
        seen = [
            t.but(seen_ns=np.full(len(t), time_ns), sensors_ns=np.where(t.sensors >= 0, time_ns, 0)) for t in tracks
        ]
        scan = Scan(time_ns, time_ns - NS, Tracks.joined(seen), reasons or Reasons.none())
        self.state, said = judged(
            self.ground,
            self.state,
            arrived or Detections.none(),
            units,
            (scan,),
            self.health,
            actions,
            before_ns,
            time_ns,
            faults,
        )
        self.told += [(second, alert) for alert in said.alerts]
        self.withheld += [(second, each) for each in said.withheld]
        self.refused += [reason for _, reason in said.refused]
        self.sent += [(second, delivery) for delivery in dispatched(self.ground, said.alerts)]
        self.now_s = second

    def stay(self, first: int, last: int, *tracks: Tracks, every: int = 1) -> None:
        """The same tracks, a scan a second; every so many seconds where nothing happens for long."""
        for second in range(first, last, every):
            self.at(second, *tracks)

    def walk(
        self,
        first: int,
        last: int,
        *starts: tuple[int, float, float],
        speed: float = 1.5,
        sigma_m: float = 2.0,
        kind: str = "person",
    ) -> None:
        """Tracks (id, x, y at `first`) that walk north, a scan a second."""
        for second in range(first, last):
            gone = speed * (second - first)
            self.at(second, *(track(i, (x, y + gone), (0.0, speed), sigma_m, kind=kind) for i, x, y in starts))

    def act(self, second: float, action: str, *tracks: Tracks, by: str = "desk-1", **more: object) -> None:
        """Somebody does something, about the first incident unless it is said about which."""
        more.setdefault("alert", self.told[0][1].incident.key if self.told else "")
        done = Action(action, by=by, received_ns=T0 + round(second * NS), **more)  # type: ignore[arg-type]
        self.at(second, *tracks, actions=(done,))

    def want(self, *expected: tuple[str, tuple[float, float]]) -> None:
        """Exactly these reasons, in this order, each within its times."""
        assert [alert.why for _, alert in self.told] == [why for why, _ in expected]
        for (second, _), (why, (low, high)) in zip(self.told, expected, strict=True):
            assert low <= second <= high, f"{why} at {second} s"

    def incident(self, number: int = 0) -> Incident:
        """As it is now, of those told of, in their order."""
        keys = list(dict.fromkeys(alert.incident.key for _, alert in self.told))
        return next(alert.incident for _, alert in reversed(self.told) if alert.incident.key == keys[number])

    def heard(self, channel: str) -> list[tuple[str, str]]:
        """(phase, why) of what a channel was sent, in order."""
        import json

        bodies = [json.loads(d.body) for _, d in self.sent if d.channel == channel]
        return [(b["phase"], b["reason"]["why"]) for b in bodies]


def between(low: float, high: float) -> tuple[float, float]:
    return low, high


def found_again(lost: int, newer: int) -> Reasons:
    """That `newer` turned out to be `lost`."""
    return Reasons.blank(1).but(
        track=np.array([lost], np.uint64),
        what=np.array([What.FOUND_AGAIN], np.int8),
        sensor=np.array([-1], np.int32),
        other=np.array([newer], np.uint64),
    )
