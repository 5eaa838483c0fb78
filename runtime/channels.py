"""From an agency's entry to its channels."""

import os
from collections.abc import Callable
from functools import partial

from alerts.channels.broker import BrokerAddress, MqttChannel
from alerts.channels.email import EmailChannel
from alerts.channels.http import HttpChannel, cap, webhook
from alerts.channels.results import Channel
from alerts.channels.tak import TakChannel
from runtime import schema
from runtime.entries import Configuration


def channel_builders(c: Configuration) -> dict[str, Callable[[], Channel]]:
    """What makes each of the agencies' channels, by its id."""
    return {said.id: partial(_channel, c, said) for w in c.agencies for said in w.value.channel}


def password_of(c: Configuration) -> str:
    """The broker's password; empty where it needs none."""
    return _text(c, c.site.mqtt.password_file)


def _channel(c: Configuration, said: schema.AnyChannel) -> Channel:
    site = c.site.site.name
    match said:
        case schema.MqttChannel():
            return _mqtt(c, said)
        case schema.WebhookChannel():
            wrap = webhook(f"marchwarden/{site}", _secret(c, said.secret_file), said.batch_max)
            return HttpChannel(said.id, said.url, wrap, said.timeout_s, _path(c, said.ca_file), said.per_minute)
        case schema.CapChannel():
            wrap = cap(said.sender or f"marchwarden@{site}", said.status, _secret(c, said.secret_file))
            return HttpChannel(said.id, said.url, wrap, said.timeout_s, _path(c, said.ca_file), said.per_minute)
        case schema.CotChannel():
            host, port = address(said.server)
            ca, own, key = (_path(c, file) for file in (said.ca_file, said.cert_file, said.key_file))
            return TakChannel(
                said.id, host, port, said.stale_s, said.timeout_s, ca, own, key, per_minute=said.per_minute
            )
        case schema.EmailChannel():
            host, port = address(said.server)
            return EmailChannel(
                said.id,
                host,
                port,
                said.sender,
                list(said.to),
                said.starttls,
                _path(c, said.ca_file),
                said.username,
                _text(c, said.password_file),
                said.timeout_s,
                said.per_minute,
            )


def _mqtt(c: Configuration, said: schema.MqttChannel) -> MqttChannel:
    secret = _secret(c, said.secret_file)
    return MqttChannel(said.id, said.topic, broker_address(c, said.id), per_minute=said.per_minute, secret=secret)


def broker_address(c: Configuration, purpose: str) -> BrokerAddress:
    """The site's broker, for a connection of one purpose."""
    mqtt = c.site.mqtt
    return BrokerAddress(
        mqtt.host,
        mqtt.port,
        f"marchwarden-{c.site.site.name}-{purpose}-{os.getpid()}",
        mqtt.username,
        password_of(c),
        _path(c, mqtt.tls_ca_file),
    )


def address(server: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = server.rpartition(":")
    return host, int(port)


def _path(c: Configuration, file: str) -> str:
    return str(c.path(file)) if file else ""


def _secret(c: Configuration, file: str) -> bytes:
    """What a receiver and the service share; empty where nothing is signed."""
    return c.path(file).read_bytes().strip() if file else b""


def _text(c: Configuration, file: str) -> str:
    return c.path(file).read_text().strip() if file else ""
