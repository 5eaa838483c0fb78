"""What every decoder writes into: rows of readings, looks, signs of life and rejections, gathered message by message."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.classes import CLASS_OF_LABEL, CLASSES, confused, is_known_label, likelihoods
from model.detections import PLATES, Looks
from model.faults import Fault, FaultKind, fault_of
from model.health import Sign, Signs
from model.rejections import Reason, Rejection, summed
from model.units import UnitReport
from sensors.catalogue import Catalogue, Feed
from sensors.intake import Intake, Meter
from sensors.pictures import PictureRefused, checked_header
from sensors.plates import normalised, token
from sensors.readings import Decoded, Picture, Place, PlateText, Readings
from sensors.repeats import key_of

M = TypeVar("M")
NAN = float("nan")
READ = 0.95  # that the plate is one of those that the reader names
NO_SPREAD = (NAN, NAN, NAN)
NO_MOTION = (NAN, NAN)
UNIT_SIGMA_M = 10.0  # of a unit that does not say how well it knows where it is
UNIT_LONGEST = 64  # letters of its name
CANDIDATES_MAX = 64  # readings of one plate that are weighed
FIELDS_NOTED_MAX = 5  # unknown fields of one message, or of one member of a frame, that are counted
NAMES_MAX = 20  # unknown names of one message that are told with what they may mean, which takes 0.1 ms each to find
SUGGESTIONS_KEPT = 4_096
FURTHER_FIELDS = "Further fields are unknown; they were left out."
FURTHER_CLASSES = "Further classes are unknown: taken for 'other'. Map them in the sensor's labels."
# What other formats call things that have a name of their own in ours.
OTHER_NAMES = {
    "latitude": "lat",
    "longitude": "lon",
    "lng": "lon",
    "long": "lon",
    "accuracy": "sigma_m",
    "azimuth": "bearing_deg",
    "bearing": "bearing_deg",
    "distance": "range_m",
    "heading": "course_deg",
    "velocity": "speed_mps",
    "type": "class",
    "label": "class",
    "score": "confidence",
    "probability": "confidence",
    "track_id": "source_id",
    "object_id": "source_id",
    "license_plate": "plate",
    **dict.fromkeys(
        ("timestamp", "ts", "tst", "datetime", "date", "utc", "when", "observed", "observed_at", "created_at", "epoch"),
        "time",
    ),
}
TOPIC_LONGEST = 200
TIMES = {
    Reason.IN_THE_FUTURE: "Observed after it was received; check its clock and time zone.",
    Reason.TOO_OLD: "Observed too long before it was received; check its clock and time zone.",
}
FAR_NS = (
    1 << 62
)  # the year 2116: a time beyond it, or before its mirror, stands for all of them and is rejected as such


LABELS = tuple(CLASS_OF_LABEL)


class Rows:
    """Gathers what a batch of messages says. `at` names the message that the following calls speak of."""

    def __init__(self, catalogue: Catalogue, intake: Intake) -> None:
        self.catalogue = catalogue
        self.number, self.received_ns, self.topic = 0, 0, ""
        self.named: int | None = None  # the sensor that the message names, once that is known
        self._left_out = False  # has there been no room for something of the message?
        self._meter = Meter(catalogue.limits, catalogue.columns.looks_per_s, intake)
        self._shed: dict[int, tuple[int, int]] = {}  # sensor → (received, detections) that there was no room for
        self._whole: list[tuple[int, int, int, int, int, int, int, int, bool]] = []
        self._real: list[tuple[float, ...]] = []
        self._keys: list[int] = []
        self._looks: list[tuple[int, int, int]] = []
        self._signs: list[tuple[int, int, int]] = []
        self._values: list[float] = []
        self._plates: list[PlateText] = []
        self._candidates: list[tuple[int, Sequence[tuple[int, float]]]] = []  # (row, tokens with probabilities)
        self._tokens: dict[str, int] = {}
        self._ways: dict[int, int] = {}  # sensor → how it is to be understood
        self._alike: dict[Any, int] = {}  # (labels, confusion) → the same
        self._classes: dict[Any, int] = {}  # (way, what was said) → number of its vector
        self._vectors: list[NDArray[np.float64]] = []
        self._strange: dict[int, str] = {}  # number of a vector → the label in it that nobody knows
        self._names: set[str] = set()  # unknown ones that the message has, of those that are told
        self._suggestions: dict[tuple[str, tuple[str, ...]], str] = {}
        self._units: list[UnitReport] = []
        self._pictures: list[Picture] = []
        self._faults: list[Fault] = []
        self.rejections: list[Rejection] = []
        self._parts: tuple[list[Any], ...] = (
            self._whole,
            self._real,
            self._keys,
            self._looks,
            self._signs,
            self._values,
            self._plates,
            self._candidates,
            self._units,
            self._pictures,
            self._faults,
            self.rejections,
        )

    def at(self, number: int, received_ns: int, topic: str) -> None:
        self.number, self.received_ns, self.topic, self.named = number, received_ns, topic, None
        self._left_out = False
        self._names.clear()

    def mark(self) -> list[int]:
        """Where a message begins, for `has_left` and `undo`."""
        return list(map(len, self._parts))

    def has_left(self, mark: list[int]) -> bool:
        """Has the message left a row, a look, a sign of life, a unit's place or a rejection?"""
        return self._left_out or self.mark() != mark

    def undo(self, mark: list[int]) -> None:
        """Take back all that the message has left: one that fails half-way is not read at all."""
        for part, length in zip(self._parts, mark, strict=True):
            del part[length:]

    def detection(
        self,
        sensor: int,
        observed_ns: int,
        *,
        key: int,
        place: Place = Place.OWN,
        where: tuple[float, float] = (NAN, NAN),
        spread: tuple[float, float, float] = NO_SPREAD,
        motion: tuple[float, float] = NO_MOTION,
        classes: int = -1,
        confidence: float = 1.0,
        source: int = 0,
        plates: Sequence[tuple[int, float]] = (),
        timeless: bool = False,
    ) -> None:
        """One reading. `key` is what makes it this one and no other: a reading with the same key is a repeat.

        `plates` are tokens with their probabilities, as `candidates` gives them. `timeless` is what carries neither an id nor a
        time, so that its key is that of its words alone.
        """
        if not self.room(sensor, 1):
            return
        if classes in self._strange:
            self._note_class(sensor, self._strange[classes])
        plate = plates[0][0] if plates else 0
        if plates:
            self._candidates.append((len(self._whole), plates))
        self._whole.append(
            (sensor, _within_reach(observed_ns), self.received_ns, self.number, place, classes, source, plate, timeless)
        )
        self._real.append((*where, *spread, confidence, *motion))
        self._keys.append(key)

    def detections(
        self,
        sensor: int,
        observed_ns: int,
        *,
        keys: list[int],
        places: list[tuple[Place, tuple[float, float], tuple[float, float, float]]],
        motions: list[tuple[float, float]],
        classes: list[int],
        confidences: list[float],
        sources: list[int],
        timeless: bool = False,
    ) -> None:
        """As many readings of one frame, none with a plate; the lists are of one length, and there is `room` for them."""
        for strange in dict.fromkeys(number for number in classes if number in self._strange):
            self._note_class(sensor, self._strange[strange], classes.count(strange))
        observed_ns, received_ns, number = _within_reach(observed_ns), self.received_ns, self.number
        self._whole += [
            (sensor, observed_ns, received_ns, number, place[0], said, source, 0, timeless)
            for place, said, source in zip(places, classes, sources, strict=True)
        ]
        self._real += [
            (*place[1], *place[2], confidence, *motion)
            for place, confidence, motion in zip(places, confidences, motions, strict=True)
        ]
        self._keys += keys

    def within(self, sensor: int, members: list[M]) -> list[M]:
        """As many members of one message as a message may have: the first ones. What is left out is counted."""
        most = self.catalogue.limits.members_max
        if len(members) <= most:
            return members
        self._leave_out(sensor, len(members) - most)
        return members[:most]

    def room(self, sensor: int, count: int) -> int:
        """How many of so many detections there is room for in this second. What is left out is counted."""
        taken = self._meter.room(sensor, count, self.received_ns)
        if taken < count:
            self._leave_out(sensor, count - taken)
        return taken

    def _leave_out(self, sensor: int, count: int) -> None:
        self._shed[sensor] = self.received_ns, self._shed.get(sensor, (0, 0))[1] + count
        self._left_out = True

    def look(self, sensor: int, observed_ns: int, empty: bool) -> None:
        """The sensor looked then, and saw nothing where the frame is `empty`.

        Frames beyond the registered `looks_per_s` are no looks. The empty ones among them are counted: they leave nothing else.
        """
        limits, late_ns = self.catalogue.limits, self.received_ns - observed_ns
        if -late_ns > limits.ahead_ns_max:
            self.reject(Reason.IN_THE_FUTURE, TIMES[Reason.IN_THE_FUTURE], sensor)
        elif late_ns > limits.age_ns_max:
            self.reject(Reason.TOO_OLD, TIMES[Reason.TOO_OLD], sensor)
        elif self._meter.look_is_due(sensor, observed_ns):
            self._looks.append((observed_ns, self.received_ns, sensor))
        elif empty:
            detail = (
                "More empty frames than the registered looks_per_s: the surplus is no evidence that nothing was there."
            )
            self.reject(Reason.SURPLUS_LOOK, detail, sensor)

    def sign(self, sensor: int, sign: Sign, value: float = 0.0) -> None:
        self._signs.append((self.received_ns, sensor, sign))
        self._values.append(value)

    def gateway(self, gateway: str, up: bool) -> None:
        """What carries the messages of several sensors is up, or down. One that no registered sensor is behind is rejected."""
        behind = self.catalogue.behind(gateway)
        for sensor in behind:
            self.sign(sensor, Sign.GATEWAY_UP if up else Sign.GATEWAY_DOWN)
        if not behind:
            self.reject(Reason.UNKNOWN_SENSOR, f"No sensor is registered behind {gateway[:64]!r}.")

    def picture(self, sensor: int, label: str, jpeg: bytes) -> None:
        """What a camera took, to be reduced by the shell. What is no picture, or one too costly to decode, is rejected."""
        try:
            checked_header(jpeg)
        except PictureRefused as refused:
            self.reject(refused.reason, refused.detail, sensor)
            return
        self._pictures.append(Picture(self.received_ns, self.topic, sensor, label[:64], jpeg))
        self.sign(sensor, Sign.HEARD)

    def unit(
        self,
        feed: Feed,
        source: str,
        observed_ns: int,
        lat: float,
        lon: float,
        *,
        until_ns: int | None = None,
        name: str = "",
        sigma_m: float | None = None,
        course_deg: float | None = None,
        speed_mps: float | None = None,
    ) -> None:
        """One word of a unit on where it is; every number within the bounds of `formats/bounds.py`."""
        limits, late_ns = self.catalogue.limits, self.received_ns - observed_ns
        sigma = UNIT_SIGMA_M if sigma_m is None else sigma_m
        unit = self.catalogue.unit_of.get((feed.id, source))
        if unit is None:
            self._unregistered_unit(feed, source)
        elif sigma > limits.unit_sigma_m_max:
            detail = (
                f"{unit} knows its place to {sigma:,.0f} m; beyond {limits.unit_sigma_m_max:g} m it explains nothing."
            )
            self.reject(Reason.TOO_UNCERTAIN, detail)
        elif -late_ns > limits.ahead_ns_max:
            self.reject(Reason.IN_THE_FUTURE, TIMES[Reason.IN_THE_FUTURE])
        elif late_ns > limits.age_ns_max:
            self.reject(Reason.TOO_OLD, TIMES[Reason.TOO_OLD])
        else:
            self._units.append(
                UnitReport(
                    unit,
                    name[:UNIT_LONGEST] or unit,
                    observed_ns,
                    until_ns,
                    self.received_ns,
                    lat,
                    lon,
                    sigma,
                    course_deg,
                    speed_mps,
                )
            )

    def _unregistered_unit(self, feed: Feed, source: str) -> None:
        """Whoever may publish here can name any unit, so that only those registered count; the others are told of."""
        detail = f"{source[:64]!r} is no registered unit of feed {feed.id!r}, so it explains no track."
        self.reject(Reason.UNKNOWN_UNIT, detail)
        if feed.alert_unregistered:
            self.fault(FaultKind.FEED_SUSPECT, feed.id, detail)

    def reject(self, reason: Reason, detail: str, sensor: int | None = None, count: int = 1) -> None:
        """Say why a message, or a part of it, is not used. To name the sensor is to say that it has been heard."""
        name = "" if sensor is None else self.catalogue.sensors[sensor].id
        self.rejections.append(Rejection(self.received_ns, self.topic[:TOPIC_LONGEST], reason, detail, name, count))

    def fault(self, kind: FaultKind, about: str, detail: str) -> None:
        """Have technicians told. `about` is a name from configuration."""
        self._faults.append(fault_of(kind, about, detail, self.received_ns))

    def note_unknown_fields(self, names: Iterable[str], known: Iterable[str], sensor: int | None = None) -> None:
        """Count fields that the format does not know, of a message that is used all the same."""
        fields = tuple(known)
        for name in islice(names, FIELDS_NOTED_MAX):
            found = self.suggestion(name, fields)
            detail = f"The field {found} is unknown; it was left out." if found else FURTHER_FIELDS
            self.reject(Reason.UNKNOWN_FIELD, detail, sensor)

    def suggestion(self, name: str, known: tuple[str, ...]) -> str:
        """`suggested`, for the first unknown names of a message; of further ones nothing, so that their number costs no time."""
        short = name[:32]
        if short not in self._names:
            if len(self._names) == NAMES_MAX:
                return ""
            self._names.add(short)
        found = self._suggestions.get((short, known))
        if found is None:
            if len(self._suggestions) == SUGGESTIONS_KEPT:
                self._suggestions.clear()
            found = self._suggestions[short, known] = suggested(short, known)
        return found

    def _note_class(self, sensor: int, label: str, count: int = 1) -> None:
        found = self.suggestion(label, LABELS)
        detail = (
            f"The class {found} is unknown: taken for 'other'. Map it in the sensor's labels."
            if found
            else FURTHER_CLASSES
        )
        self.reject(Reason.UNKNOWN_CLASS, detail, sensor, count)
        self.fault(FaultKind.FEED_SUSPECT, self.catalogue.sensors[sensor].id, detail)

    def sensor(self, feed: str, source: str) -> int | None:
        """The row of a registered sensor; an unregistered one is rejected here."""
        row = self.catalogue.index_of.get((feed, source))
        if row is None:
            self.reject(Reason.UNKNOWN_SENSOR, f"No sensor with source {source[:64]!r} is registered on feed {feed!r}.")
        self.named = row
        return row

    def classes(self, sensor: int, shares: dict[str, float]) -> int:
        """A number for class shares under the sensor's own labels, to hand to `detection`."""
        own, confusion = self.catalogue.sensors[sensor].labels, self.catalogue.sensors[sensor].confusion
        key = (self._way(sensor), *shares.items())
        number = self._classes.get(key)
        if number is None:
            number = self._classes[key] = len(self._vectors)
            named: dict[str, float] = {}
            for label, share in shares.items():
                name = dict(own).get(label, label)
                named[name] = named.get(name, 0.0) + share
                if not is_known_label(name):
                    self._strange.setdefault(number, name)
            self._vectors.append(confused(likelihoods(named), confusion))
        return number

    def label(self, sensor: int, name: str, confidence: float) -> int:
        """The same for one label of a given confidence."""
        way = self._ways.get(sensor)
        number = None if way is None else self._classes.get((way, (name, confidence)))
        return self.classes(sensor, {name: confidence}) if number is None else number

    def _way(self, sensor: int) -> int:
        """A number for how a sensor's labels are to be understood; the same for all that are understood alike."""
        way = self._ways.get(sensor)
        if way is None:
            entry = self.catalogue.sensors[sensor]
            way = self._ways[sensor] = self._alike.setdefault((entry.labels, entry.confusion), len(self._alike))
        return way

    def candidates(
        self, best: str, others: Mapping[str, float], observed_ns: int, sensor: int
    ) -> list[tuple[int, float]]:
        """Tokens of what a plate may read, with their probabilities, the best first; none when it holds no letter or digit.

        `others` are further readings with weights of any scale, the best one among them or not. The clear text of the best goes
        aside, to be sealed; that of the others is forgotten here.
        """
        clear = normalised(best)
        if not clear:
            return []
        self._plates.append(PlateText(self._token(clear), clear, _within_reach(observed_ns), sensor))
        weights = {clear: 0.0}
        for text, weight in islice(others.items(), CANDIDATES_MAX):
            if normalised(text) and np.isfinite(weight) and weight > 0:
                weights[normalised(text)] = max(weights.get(normalised(text), 0.0), weight)
        weights[clear] = max(weights.values()) or 1.0
        first, *rest = sorted(weights, key=lambda text: (text != clear, -weights[text], text))
        kept = [first, *rest][:PLATES]
        total = sum(weights[text] for text in kept)
        return [(self._token(text), READ * weights[text] / total) for text in kept]

    def _token(self, clear: str) -> int:
        if clear not in self._tokens:
            self._tokens[clear] = token(self.catalogue.plate_key, clear)
        return self._tokens[clear]

    def source(self, sensor: int, object_id: str) -> int:
        """A source's own object id, as columns carry it."""
        return key_of(self.catalogue.sensors[sensor].id, object_id) or 1

    def keys(self) -> NDArray[np.uint64]:
        return np.array(self._keys, np.uint64)

    def timeless(self) -> NDArray[np.bool_]:
        return np.array([row[8] for row in self._whole], np.bool_)

    def intake(self) -> Intake:
        return self._meter.intake()

    def decoded(self) -> Decoded:
        n = len(self._whole)
        columns = list(zip(*self._whole, strict=True)) if n else [()] * 9
        real = np.array(self._real, np.float64).reshape(n, 8)
        vectors = np.array([*self._vectors, np.full(len(CLASSES), 1 / len(CLASSES))])
        plates, shares = np.zeros((n, PLATES), np.uint64), np.zeros((n, PLATES))
        for row, said in self._candidates:
            plates[row, : len(said)] = [token for token, _ in said]
            shares[row, : len(said)] = [share for _, share in said]
        readings = Readings(
            observed_ns=np.array(columns[1], np.int64),
            received_ns=np.array(columns[2], np.int64),
            sensor=np.array(columns[0], np.int32),
            message=np.array(columns[3], np.int32),
            place=np.array(columns[4], np.int8),
            where=real[:, :2],
            spread=real[:, 2:5],
            motion=real[:, 6:],
            class_likelihood=vectors[np.array(columns[5], np.int64)],
            confidence=real[:, 5],
            source=np.array(columns[6], np.uint64),
            plate=np.array(columns[7], np.uint64),
            plates=plates,
            plate_share=shares,
        )
        looks = np.array(self._looks, np.int64).reshape(-1, 3)
        signs = np.array(self._signs, np.int64).reshape(-1, 3)
        shed = [self._shed_of(sensor, *counted) for sensor, counted in self._shed.items()]
        return Decoded(
            readings,
            Looks(looks[:, 0], looks[:, 1], looks[:, 2].astype(np.int32)),
            Signs(
                signs[:, 0],
                signs[:, 1].astype(np.int32),
                signs[:, 2].astype(np.int8),
                np.array(self._values, np.float64),
            ),
            summed([*self.rejections, *(rejection for rejection, _ in shed)]),
            tuple(self._plates),
            tuple(self._units),
            tuple(self._pictures),
            (*_first_of_each(self._faults), *(fault for _, fault in shed)),
        )

    def _shed_of(self, sensor: int, received_ns: int, count: int) -> tuple[Rejection, Fault]:
        """What is said of detections that there was no room for."""
        limits, entry = self.catalogue.limits, self.catalogue.sensors[sensor]
        detail = (
            f"More detections than [limits] allow: {limits.members_max:,} a message, "
            f"{limits.sensor_detections_per_s_max:,} a second of one sensor, {limits.detections_per_s_max:,} of all; "
            "the rest was left out."
        )
        return (
            Rejection(received_ns, entry.feed, Reason.OVER_LIMIT, detail, entry.id, count),
            fault_of(FaultKind.LOAD_SHED, entry.id, detail, received_ns),
        )


def _first_of_each(faults: Iterable[Fault]) -> Iterable[Fault]:
    """The first fault of each kind and about each thing: a flood of them is one."""
    found: dict[str, Fault] = {}
    for fault in faults:
        found.setdefault(fault.subject, fault)
    return found.values()


def suggested(name: str, known: Iterable[str]) -> str:
    """A name that a sender chose, cut short, with the known one that is nearest to it."""
    names = list(known)
    other = OTHER_NAMES.get(name.lower(), "")
    close = [other] if other in names else get_close_matches(name.lower()[:32], names, 1)
    return f"{name[:32]!r} (did you mean {close[0]!r}?)" if close else f"{name[:32]!r}"


def _within_reach(time_ns: int) -> int:
    """A time that 64 bits hold, and its difference from any other."""
    return min(max(time_ns, -FAR_NS), FAR_NS)
