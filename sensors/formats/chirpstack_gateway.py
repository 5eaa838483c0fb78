"""LoRa gateways' own word on whether they are connected: `<region>/gateway/<id>/state/conn`, retained, with a last will.

Source: `ConnState` in ChirpStack's `api/proto/gw/gw.proto`, as the MQTT Forwarder and the Gateway Bridge publish it: as JSON or
as Protocol Buffers, whichever they are set to. Time: none, that of receipt. Place: none. Two messages are the same when they say
the same: it is a state. Both forms leave out what is zero, and OFFLINE is zero.
"""

import msgspec

from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import Name, Unusable
from sensors.formats.common import Rows

STATES = {"ONLINE": True, "OFFLINE": False}
STATE_FIELD, ONLINE = 2, 1  # in ConnState; its other fields name the gateway, as the topic does
VARINT, TEXT = 0, 2  # wire types of Protocol Buffers


class ConnState(msgspec.Struct):
    state: Name = "OFFLINE"


_state = msgspec.json.Decoder(ConnState)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return (f"{feed.topic}/+/state/conn",)


def source_in(_: Feed, __: str) -> str:
    """No sensor has a topic of its own here."""
    return ""


def is_state(_: Feed, __: str) -> bool:
    """Does a retained message on this topic say what is so now?"""
    return True


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors, or Unusable, for what is not of this shape."""
    match topic[len(feed.topic) + 1 :].split("/"):
        case [gateway, "state", "conn"]:
            online = _read_json(payload) if payload.startswith(b"{") else _read_protobuf(payload)
            rows.gateway(gateway.lower(), online)
        case _:
            rows.reject(Reason.UNKNOWN_TOPIC, f"Not …/<gateway>/state/conn: {topic[:100]!r}.")


def _read_json(payload: bytes) -> bool:
    state = _state.decode(payload).state
    if state not in STATES:
        raise Unusable(Reason.OUT_OF_RANGE, "A gateway's state is ONLINE or OFFLINE.")
    return STATES[state]


def _read_protobuf(payload: bytes) -> bool:
    """The state of a ConnState; its lengths and numbers are all below 128, so each is one byte."""
    at, state = 0, 0
    while at < len(payload):
        field, wire = payload[at] >> 3, payload[at] & 7
        if at + 1 >= len(payload) or payload[at + 1] > 127 or wire not in (VARINT, TEXT):
            raise Unusable(Reason.WRONG_SHAPE, "Neither JSON nor a ConnState.")
        if wire == VARINT and field == STATE_FIELD:
            state = payload[at + 1]
        at += 2 + (payload[at + 1] if wire == TEXT else 0)
    if at != len(payload) or state > ONLINE:
        raise Unusable(Reason.WRONG_SHAPE, "Neither JSON nor a ConnState.")
    return state == ONLINE
