"""A message, or a part of one, that could not be used, and why. Nothing is lost without one of these."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why. Each is shown with its count by `marchwarden status`."""

    NOT_JSON = "not_json"  # the payload does not parse
    WRONG_SHAPE = "wrong_shape"  # it parses, but a field is missing or of another type
    NOT_FINITE = "not_finite"  # NaN or infinity where a number should be
    OUT_OF_RANGE = "out_of_range"  # a number no real thing has: a latitude of 200
    IN_THE_FUTURE = "in_the_future"  # observed after it was received, beyond the tolerance
    TOO_OLD = "too_old"  # observed longer ago than the site keeps
    TOO_LATE = "too_late"  # too late for tracking; kept in history
    TOO_LARGE = "too_large"  # payload above the limit
    UNKNOWN_SENSOR = "unknown_sensor"  # nobody registered it
    UNKNOWN_TOPIC = "unknown_topic"  # no feed has this topic
    UNKNOWN_EVENT = "unknown_event"  # the format has a kind of message that we don't know
    BEYOND_HORIZON = "beyond_horizon"  # a pixel whose ray never meets the ground within range
    NO_POSITION = "no_position"  # neither the message nor the registration says where
    PRIVACY_ZONE = "privacy_zone"  # dropped by construction, see docs
    REPEATED = "repeated"  # the same message again
    RETAINED = "retained"  # a retained detection: state from before, not news
    NO_DETECTION = "no_detection"  # understood, and there is nothing to detect in it
    FALSE_POSITIVE = "false_positive"  # the source itself took it back
    ACTION_REFUSED = "action_refused"  # somebody wanted what cannot be done, such as to resolve what never was
    STEP_FAILED = "step_failed"  # processing it raised an exception: it is kept aside for the maintainer
    OUTSIDE_SITE = "outside_site"  # too far from every sector of this site


# Understood and properly set aside. They are counted as well, and are no sign of a fault.
BENIGN = frozenset({Reason.REPEATED, Reason.RETAINED, Reason.NO_DETECTION, Reason.FALSE_POSITIVE, Reason.PRIVACY_ZONE})


@dataclass(frozen=True)
class Rejection:
    """One message, or one detection in it, that was not used."""

    received_ns: int
    topic: str
    reason: Reason
    detail: str  # one English sentence for the technician; never a plate, never a payload
    sensor: str = ""  # its id, where it is known
