"""What every decoder writes into: rows of readings, looks, signs of life and rejections, gathered message by message."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classes import CLASSES, confused, likelihoods
from model.detections import PLATES, Looks
from model.health import Sign, Signs
from model.rejections import Reason, Rejection
from model.units import UnitReport
from sensors.catalogue import Catalogue
from sensors.pictures import reduced
from sensors.plates import normalised, token
from sensors.readings import Decoded, Picture, Place, PlateText, Readings
from sensors.repeats import key_of

NAN = float("nan")
READ = 0.95  # that the plate is one of those that the reader names
NO_SPREAD = (NAN, NAN, NAN)
NO_MOTION = (NAN, NAN)
UNIT_SIGMA_M = 10.0  # of a unit that does not say how well it knows where it is
UNIT_LONGEST = 64  # letters of its id
FAR_NS = (
    1 << 62
)  # the year 2116: a time beyond it, or before its mirror, stands for all of them and is rejected as such


class Rows:
    """Gathers what a batch of messages says. `at` names the message that the following calls speak of."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.number, self.received_ns, self.topic = 0, 0, ""
        self._whole: list[tuple[int, int, int, int, int, int, int, int]] = []
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
        self._units: list[UnitReport] = []
        self._pictures: list[Picture] = []
        self.rejections: list[Rejection] = []

    def at(self, number: int, received_ns: int, topic: str) -> None:
        self.number, self.received_ns, self.topic = number, received_ns, topic

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
    ) -> None:
        """One reading. `key` is what makes it this one and no other: a reading with the same key is a repeat.

        `plates` are tokens with their probabilities, as `candidates` gives them.
        """
        plate = plates[0][0] if plates else 0
        if plates:
            self._candidates.append((len(self._whole), plates))
        self._whole.append(
            (sensor, _within_reach(observed_ns), self.received_ns, self.number, place, classes, source, plate)
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
    ) -> None:
        """As many readings of one frame, none with a plate; the lists are of one length."""
        observed_ns, received_ns, number = _within_reach(observed_ns), self.received_ns, self.number
        self._whole += [
            (sensor, observed_ns, received_ns, number, place[0], said, source, 0)
            for place, said, source in zip(places, classes, sources, strict=True)
        ]
        self._real += [
            (*place[1], *place[2], confidence, *motion)
            for place, confidence, motion in zip(places, confidences, motions, strict=True)
        ]
        self._keys += keys

    def look(self, sensor: int, observed_ns: int) -> None:
        self._looks.append((_within_reach(observed_ns), self.received_ns, sensor))

    def sign(self, sensor: int, sign: Sign, value: float = 0.0) -> None:
        self._signs.append((self.received_ns, sensor, sign))
        self._values.append(value)

    def picture(self, sensor: int, label: str, jpeg: bytes) -> None:
        """What a camera took. Only its reduction goes on; what is no picture is rejected."""
        small = reduced(jpeg)
        if small is None:
            self.reject(Reason.WRONG_SHAPE, "Not a JPEG that can be read.", sensor)
            return
        self._pictures.append(Picture(self.received_ns, sensor, label[:64], small))
        self.sign(sensor, Sign.HEARD)

    def unit(
        self,
        unit: str,
        observed_ns: int,
        lat: float,
        lon: float,
        *,
        name: str = "",
        sigma_m: float | None = None,
        course_deg: float | None = None,
        speed_mps: float | None = None,
    ) -> None:
        """One word of a unit of ours on where it is."""
        said = [x for x in (lat, lon, sigma_m, course_deg, speed_mps) if x is not None]
        limits, late_ns = self.catalogue.limits, self.received_ns - observed_ns
        if not np.isfinite(said).all():
            self.reject(Reason.NOT_FINITE, "A number is NaN or infinite.")
        elif (
            not 0 < len(unit) <= UNIT_LONGEST
            or abs(lat) > 90
            or abs(lon) > 180
            or (sigma_m is not None and sigma_m <= 0)
        ):
            self.reject(Reason.OUT_OF_RANGE, "A latitude over 90, a longitude over 180, a σ of 0, or no proper id.")
        elif -late_ns > limits.ahead_ns_max:
            self.reject(Reason.IN_THE_FUTURE, "A unit's time is after it was received; check its clock.")
        elif late_ns > limits.age_ns_max:
            self.reject(Reason.TOO_OLD, "A unit's time is too long before it was received; check its clock.")
        else:
            sigma = UNIT_SIGMA_M if sigma_m is None else sigma_m
            self._units.append(
                UnitReport(
                    unit,
                    name[:UNIT_LONGEST] or unit,
                    observed_ns,
                    self.received_ns,
                    lat,
                    lon,
                    sigma,
                    course_deg,
                    speed_mps,
                )
            )

    def reject(self, reason: Reason, detail: str, sensor: int | None = None) -> None:
        name = "" if sensor is None else self.catalogue.sensors[sensor].id
        self.rejections.append(Rejection(self.received_ns, self.topic, reason, detail, name))

    def sensor(self, feed: str, source: str) -> int | None:
        """The row of a registered sensor; an unregistered one is rejected here."""
        row = self.catalogue.index_of.get((feed, source))
        if row is None:
            self.reject(Reason.UNKNOWN_SENSOR, f"No sensor with source {source[:64]!r} is registered on feed {feed!r}.")
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
        for text, weight in others.items():
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

    def count(self) -> int:
        """How much there is so far: a message that adds nothing has vanished."""
        return len(self._whole) + len(self._looks) + len(self._signs) + len(self._units) + len(self.rejections)

    def keys(self) -> list[int]:
        return self._keys

    def decoded(self) -> Decoded:
        n = len(self._whole)
        columns = list(zip(*self._whole, strict=True)) if n else [()] * 8
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
        return Decoded(
            readings,
            Looks(looks[:, 0], looks[:, 1], looks[:, 2].astype(np.int32)),
            Signs(
                signs[:, 0],
                signs[:, 1].astype(np.int32),
                signs[:, 2].astype(np.int8),
                np.array(self._values, np.float64),
            ),
            tuple(self.rejections),
            tuple(self._plates),
            tuple(self._units),
            tuple(self._pictures),
        )


def _within_reach(time_ns: int) -> int:
    """A time that 64 bits hold, and its difference from any other."""
    return min(max(time_ns, -FAR_NS), FAR_NS)
