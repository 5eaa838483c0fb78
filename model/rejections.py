"""A message, or a part of one, that could not be used, and why. Nothing is lost without one of these."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why. Each is shown with its count by `marchwarden status`."""

    NOT_JSON = "not_json"  # the payload does not parse
    WRONG_SHAPE = "wrong_shape"  # it parses, but a field is missing or of another type
    NOT_FINITE = "not_finite"  # NaN or infinity where a number should be
    OUT_OF_RANGE = "out_of_range"  # a number no real thing has: a latitude of 200
    TOO_UNCERTAIN = "too_uncertain"  # a unit knows its place too badly to explain a track
    IN_THE_FUTURE = "in_the_future"  # observed after it was received, beyond the tolerance
    TOO_OLD = "too_old"  # observed longer ago than the site keeps
    TOO_LATE = "too_late"  # too late for tracking; kept in history
    TOO_LARGE = "too_large"  # payload above the limit, or a picture that is too costly to decode
    UNKNOWN_SENSOR = "unknown_sensor"  # nobody registered it
    UNKNOWN_UNIT = "unknown_unit"  # a position of a unit that nobody registered: it explains nothing
    UNKNOWN_TOPIC = "unknown_topic"  # no feed has this topic
    UNKNOWN_EVENT = "unknown_event"  # the format has a kind of message that we don't know
    BEYOND_HORIZON = "beyond_horizon"  # a pixel whose ray never meets the ground within range
    NO_POSITION = "no_position"  # neither the message nor the registration says where
    PRIVACY_ZONE = "privacy_zone"  # dropped by construction, see docs
    REPEATED = "repeated"  # the same message again
    RETAINED = "retained"  # a retained detection: state from before, not news
    NO_DETECTION = "no_detection"  # understood, and there is nothing to detect in it
    NETWORK_EVENT = "network_event"  # the network's word about a device, in which the device has no part
    DEVICE_FAULT = "device_fault"  # the network says of a device that what it sends cannot be used
    FALSE_POSITIVE = "false_positive"  # the source itself took it back
    ACTION_REFUSED = "action_refused"  # somebody wanted what cannot be done, such as to resolve what never was
    STEP_FAILED = "step_failed"  # processing it raised an exception: it is kept aside for the maintainer
    OUTSIDE_SITE = "outside_site"  # too far from every sector of this site
    OUT_OF_REACH = "out_of_reach"  # many times as far from the sensor as it reaches
    OVER_LIMIT = "over_limit"  # more than the site's [limits] allow
    SURPLUS_LOOK = "surplus_look"  # more looks than the sensor's registration says: no evidence that nothing was there
    UNKNOWN_FIELD = "unknown_field"  # a field that the format does not know; the rest of the message was used
    UNKNOWN_CLASS = "unknown_class"  # a class that nobody knows: taken for "other"
    DECODER_FAILED = "decoder_failed"  # reading it raised an exception: it is kept aside for the maintainer


# Understood and properly set aside. They are counted as well, and are no sign of a fault.
BENIGN = frozenset(
    {
        Reason.REPEATED,
        Reason.RETAINED,
        Reason.NO_DETECTION,
        Reason.FALSE_POSITIVE,
        Reason.PRIVACY_ZONE,
        Reason.NETWORK_EVENT,
    }
)
# They name a sensor and are no sign that it is there.
OF_OTHERS = frozenset({Reason.RETAINED, Reason.NETWORK_EVENT, Reason.DEVICE_FAULT})
# A part of a message that was used all the same; technicians should see it.
PARTIAL = frozenset({Reason.SURPLUS_LOOK, Reason.UNKNOWN_FIELD, Reason.UNKNOWN_CLASS})


@dataclass(frozen=True)
class Rejection:
    """One message, or so many detections or parts of messages, that were not used."""

    received_ns: int  # of the last
    topic: str
    reason: Reason
    detail: str  # one English sentence for the technician; never a plate, never a payload
    sensor: str = ""  # its id, where it is known
    count: int = 1


def summed(rejections: Iterable[Rejection]) -> tuple[Rejection, ...]:
    """One rejection for all that differ in nothing but their time, in the order of the first of each."""
    sums: dict[tuple[str, Reason, str, str], tuple[int, int]] = {}
    for r in rejections:
        key = (r.topic, r.reason, r.detail, r.sensor)
        received_ns, count = sums.get(key, (0, 0))
        sums[key] = max(received_ns, r.received_ns), count + r.count
    return tuple(
        Rejection(received_ns, topic, reason, detail, sensor, count)
        for (topic, reason, detail, sensor), (received_ns, count) in sums.items()
    )
