"""System faults: what is wrong with Marchwarden itself, or with what reaches it, for technicians.

A fault is raised in one of two ways. Pure code returns it (`Decoded.faults`). Code of the shell hands it to
`Outbox.report_fault`, from where it travels through the journal, so that a replay sees it again. Either way a rule of
kind `system_fault` makes an incident of it.
"""

from dataclasses import dataclass
from enum import StrEnum

DETAIL_LETTERS_MAX = 300
ABOUT_LETTERS_MAX = 80


class FaultKind(StrEnum):
    """What is wrong. Rules name these in `faults`."""

    DECODER_FAILED = "decoder_failed"  # decoding a message raised an exception; about: the feed
    STEP_FAILED = "step_failed"  # a step raised an exception, and messages were set aside; about: the stage
    LOAD_SHED = "load_shed"  # more came than the site's limits allow, and some was left out; about: the feed or sensor
    FEED_SUSPECT = "feed_suspect"  # a feed sends what it should not: unknown units, fields or classes; about: the feed
    UNIT_SUSPECT = "unit_suspect"  # a unit is where it cannot be: others may speak for it; about: the unit
    DEVICE_FAULT = "device_fault"  # the network says that what a device sends cannot be used; about: the sensor
    JOURNAL_LOST = "journal_lost"  # the journal is damaged or gone, so messages may be missing; about: the file
    STATE_LOST = "state_lost"  # a stored state could not be read, and tracking began anew; about: the file
    STORE_DAMAGED = "store_damaged"  # a history file, the vault or the picture store was set aside; about: the file
    KEY_LOST = "key_lost"  # a key is gone, and a new one was made or none can be; about: the key
    WRITING_FAILED = "writing_failed"  # the disk takes no writing; about: the file
    AUDIT_BROKEN = "audit_broken"  # the audit log is not as it was written; about: the file
    ANCHOR_FAILED = "anchor_failed"  # the audit log could not be anchored; about: the anchor
    PART_FAILED = "part_failed"  # a process, thread or task ended and was started again; about: its name
    CONFIGURATION_REFUSED = "configuration_refused"  # the folder has mistakes, the last accepted one stays in use


@dataclass(frozen=True)
class Fault:
    """One observation of something wrong. Faults of one kind about one thing are one incident."""

    kind: FaultKind
    about: str  # what it is about, from configuration or code: never text that a sender chose
    detail: str  # one English sentence for the technician; never a plate, never a payload
    observed_ns: int  # ns, received time
    over: bool = False  # it works again: the incident about it ends

    @property
    def subject(self) -> str:
        """What makes two faults the same."""
        return f"{self.kind.value}:{self.about}"


def fault_of(kind: FaultKind, about: str, detail: str, observed_ns: int, over: bool = False) -> Fault:
    """A fault with its texts on one line each, without control characters, and cut to a bounded length."""
    return Fault(kind, _line(about, ABOUT_LETTERS_MAX), _line(detail, DETAIL_LETTERS_MAX), observed_ns, over)


def _line(text: str, letters_max: int) -> str:
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * letters_max]).split())
    return words if len(words) <= letters_max else words[: letters_max - 1] + "…"
