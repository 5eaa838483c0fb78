"""Messages that the service writes to itself through the journal: connections, and what people did.

They travel with the rest, so that a replay of the journal does again what the service did.
"""

from dataclasses import dataclass

import msgspec

from model.alerts import Action
from model.faults import Fault, FaultKind, fault_of
from model.messages import ACTION_TOPIC, FAULT_TOPIC, SERVICE_TOPIC, Messages
from model.rejections import Reason, Rejection
from model.time import ns_from_iso


class _Service(msgspec.Struct):
    event: str
    until: int | None = None


_service = msgspec.json.Decoder(_Service)


class _Action(msgspec.Struct):
    action: str
    by: str
    alert: str = ""
    note: str = ""
    agency: str = ""
    to: str = ""
    subjects: tuple[str, ...] = ()
    matchers: dict[str, str] = {}
    until: str = ""
    request: str = ""


class _Fault(msgspec.Struct):
    kind: FaultKind
    about: str
    detail: str
    observed_ns: int
    over: bool = False


@dataclass(frozen=True)
class Inbox:
    """What a step's messages say to the service itself."""

    heard_ns: int
    listening: bool
    deaf_ns: int  # for how much of the step, and of the time before it, there was no connection: nobody's silence
    actions: tuple[Action, ...]
    rejections: tuple[Rejection, ...]
    faults: tuple[Fault, ...]

    def idle_since(self, now_ns: int, idle_ns: int) -> int | None:
        """The received time up to which nothing more is expected, when all has been quiet for `idle_ns`."""
        quiet = self.listening and now_ns - self.heard_ns >= idle_ns
        return now_ns - idle_ns if quiet else None


def opened(messages: Messages, heard_ns: int, listening: bool, before_ns: int, now_ns: int) -> Inbox:
    """The service's own messages among all of a step's, and when the last of any kind arrived."""
    actions: list[Action] = []
    rejections: list[Rejection] = []
    faults: list[Fault] = []
    deaf_ns, since_ns = 0, before_ns  # `since`: up to when it is known whether there was a connection
    if len(messages):
        heard_ns = int(messages.received_ns[-1])
    for number, topic in enumerate(messages.topics):
        if not topic.startswith("$marchwarden/"):
            continue
        payload, received_ns = messages.payloads[number], int(messages.received_ns[number])
        try:
            if topic == SERVICE_TOPIC:
                said = _service.decode(payload)
                deaf_ns += max(received_ns - (said.until or received_ns if listening else since_ns), 0)
                listening, since_ns = said.event == "connected", received_ns
            elif topic == ACTION_TOPIC:
                done = msgspec.json.decode(payload, type=_Action)
                actions.append(_action(done, received_ns))
            elif topic == FAULT_TOPIC:
                fault = msgspec.json.decode(payload, type=_Fault)
                faults.append(fault_of(fault.kind, fault.about, fault.detail, fault.observed_ns, fault.over))
        except (msgspec.DecodeError, ValueError) as error:
            rejections.append(Rejection(received_ns, topic, Reason.WRONG_SHAPE, f"Not the service's own: {error}."))
    deaf_ns += 0 if listening else now_ns - since_ns
    return Inbox(heard_ns, listening, deaf_ns, tuple(actions), tuple(rejections), tuple(faults))


def _action(done: _Action, received_ns: int) -> Action:
    return Action(
        action=done.action,
        alert=done.alert,
        by=done.by,
        received_ns=received_ns,
        note=done.note,
        agency=done.agency,
        to=done.to,
        subjects=done.subjects,
        matchers=tuple(sorted(done.matchers.items())),
        until_ns=ns_from_iso(done.until) if done.until else 0,
        request=done.request,
    )


def silence_until(messages: Messages, before_ns: int) -> int:
    """Up to when, before these messages, nothing was heard although the service listened.

    That is all the time until `before_ns`, unless the messages begin with a word about the connection: then it is as far as
    the service knows to have listened before.
    """
    for topic, payload in zip(messages.topics, messages.payloads, strict=True):
        if topic == SERVICE_TOPIC:
            said = _said(payload)
            if isinstance(said, _Service):
                return before_ns if said.until is None else min(said.until, before_ns)
    return before_ns


def _said(payload: bytes) -> "_Service | msgspec.DecodeError | UnicodeDecodeError":
    """A service message, or why it is none."""
    try:
        return _service.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return error
