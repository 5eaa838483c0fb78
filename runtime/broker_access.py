"""Who may publish and read what at the broker, from the catalogue, and Mosquitto's access list of it.

Mosquitto denies what no line allows. So each user has its own topics and nothing else, nobody but the service can write where an
agency reads, and nobody but the service reads what sensors say.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from paho.mqtt.client import topic_matches_sub

from runtime.crosscheck import NATIVE, speakers_of, written_units
from runtime.entries import Configuration
from runtime.mistakes import Mistake
from runtime.schema import FeedEntry, MqttAnchor, MqttChannel
from runtime.world import feeds_of

SERVICE, PUBLISHER, AGENCY = "service", "publisher", "agency"
SHOWN = 8  # sensors named in a comment


@dataclass
class BrokerUser:
    """What one user name at the broker may do."""

    kind: str  # service | publisher | agency
    about: list[str] = field(default_factory=list)  # comments
    reads: dict[str, None] = field(default_factory=dict)  # topic filters, in order
    writes: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """One entry's part in what a user may do."""

    user: str
    kind: str
    about: str
    file: str
    entry: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def grants_of(c: Configuration) -> list[Grant]:
    """Every entry's part: the service first, then who publishes, then agencies."""
    return [_service(c), *_sensors(c), *_units(c), *_feeds(c), *_agencies(c)]


def users_of(grants: Iterable[Grant]) -> dict[str, BrokerUser]:
    """What each user may do, by name."""
    users: dict[str, BrokerUser] = {}
    for grant in grants:
        user = users.setdefault(grant.user, BrokerUser(grant.kind))
        user.about.append(grant.about)
        user.reads.update(dict.fromkeys(grant.reads))
        user.writes.update(dict.fromkeys(grant.writes))
    return users


def access_mistakes(c: Configuration) -> list[Mistake]:
    """Where one user name would have two roles, and where others than the service could write what an agency reads."""
    grants = grants_of(c)
    return [*_two_roles(grants), *_forgeable(c, grants)]


def mosquitto_acl(c: Configuration) -> str:
    """The access list. Raises ValueError where the service itself has no user name."""
    if not c.site.mqtt.username:
        raise ValueError(
            "site.toml: mqtt: username is missing: an access list goes by user names. "
            'Write for example username = "marchwarden" and password_file = "…".'
        )
    site = c.site.site.name
    head = (
        f"# Mosquitto's access list of {site}, made by `marchwarden acl`. Make it again when sensors, feeds or agencies change.",
        "# What no line allows is denied. Clients without a user name may do nothing: set allow_anonymous false.",
    )
    blocks = [_block(name, user) for name, user in users_of(grants_of(c)).items()]
    return "\n".join([*head, *blocks, ""])


def _block(name: str, user: BrokerUser) -> str:
    lines = ["", *(f"# {text}" for text in user.about), f"user {name}"]
    lines += [f"topic read {topic}" for topic in user.reads]
    lines += [f"topic write {topic}" for topic in user.writes]
    return "\n".join(lines)


def _service(c: Configuration) -> Grant:
    return Grant(
        c.site.mqtt.username,
        SERVICE,
        "The service: reads what the feeds publish, writes what agencies are told.",
        "site.toml",
        "mqtt",
        reads=tuple(topic for feed in feeds_of(c) for topic in feed.subscriptions),
        writes=tuple(topic for _, _, topic in _guarded_topics(c)),
    )


def _sensors(c: Configuration) -> Iterator[Grant]:
    """Those with topics of their own: on the native feed, and those that state one."""
    native = f"marchwarden/{c.site.site.name}"
    for at in c.sensors:
        sensor, topics = at.value, tuple[str, ...]()
        if sensor.topic:
            topics = (sensor.topic, f"{sensor.topic}/#")
        elif sensor.feed == NATIVE:
            topics = tuple(f"{native}/{kind}/{sensor.id}" for kind in ("detections", "health"))
        if topics:
            user = sensor.broker_user or f"sensor-{sensor.id}"
            yield Grant(user, PUBLISHER, f"Sensor {sensor.id}.", at.file, at.entry, writes=topics)


def _units(c: Configuration) -> Iterator[Grant]:
    """Each with a topic that is its own: on the native feed, and those that state one."""
    for at in written_units(c):
        unit, topics = at.value, tuple[str, ...]()
        if unit.topic:
            topics = (unit.topic, f"{unit.topic}/#")
        elif unit.feed == NATIVE:
            topics = (f"marchwarden/{c.site.site.name}/units/{unit.id}",)
        if topics:
            about = f"Unit {unit.id}: whoever has this password can say where it is, and so explain a track."
            yield Grant(unit.broker_user or f"unit-{unit.id}", PUBLISHER, about, at.file, at.entry, writes=topics)


def _feeds(c: Configuration) -> Iterator[Grant]:
    named = defaultdict[str, list[str]](list)
    for at in speakers_of(c):
        if not at.value.topic:
            named[at.value.feed].append(at.value.id)
    for feed in c.site.feed:
        if not feed.server:
            yield Grant(
                feed.broker_user or f"feed-{feed.id}",
                PUBLISHER,
                _about_feed(feed, named[feed.id]),
                "site.toml",
                f"feed {feed.id!r}",
                writes=(feed.topic, f"{feed.topic}/#"),
            )


def _about_feed(feed: FeedEntry, sensors: list[str]) -> str:
    about = f"Feed {feed.id} ({feed.format})."
    if len(sensors) < 2:
        return about
    names = ", ".join(sensors[:SHOWN]) + (f" and {len(sensors) - SHOWN} more" if len(sensors) > SHOWN else "")
    return (
        f"{about} One topic for several: whoever has this password can speak for each of {names}. "
        "Give each a `topic` of its own where that is too much."
    )


def _agencies(c: Configuration) -> Iterator[Grant]:
    user_of = {at.value.id: at.value.broker_user or f"agency-{at.value.id}" for at in c.agencies}
    for agency, what, topic in _guarded_topics(c):
        if agency in user_of:
            entry = f"agency {agency!r}"
            about = f"Agency {agency}, {what}."
            yield Grant(user_of[agency], AGENCY, about, c.site.files.agencies, entry, reads=(topic,))


def _guarded_topics(c: Configuration) -> list[tuple[str, str, str]]:
    """(agency that reads it, what it is, topic) of all that only the service may write."""
    channels = [
        (at.value.id, f"channel {channel.id}", channel.topic)
        for at in c.agencies
        for channel in at.value.channel
        if isinstance(channel, MqttChannel)
    ]
    anchors = [(a.agency, "audit anchor", a.topic) for a in c.site.audit.anchor if isinstance(a, MqttAnchor)]
    return channels + anchors


def _two_roles(grants: list[Grant]) -> Iterator[Mistake]:
    """A user name is the service's, or of those who publish, or of one agency."""
    first: dict[str, Grant] = {}
    for grant in grants:
        other = first.setdefault(grant.user, grant) if grant.user else grant
        if other.kind != grant.kind or (grant.kind == AGENCY and other.entry != grant.entry):
            yield Mistake(
                grant.file,
                grant.entry,
                "broker_user",
                f"{grant.user!r} is the user of {other.entry} as well.",
                "Give each agency, the service, and those who publish users of their own.",
            )


def _forgeable(c: Configuration, grants: list[Grant]) -> Iterator[Mistake]:
    """Topics of agencies that somebody else may write: he could forge an alert there."""
    for grant in grants:
        if grant.kind != PUBLISHER:
            continue
        for agency, what, topic in _guarded_topics(c):
            if any(topic_matches_sub(filter, topic) for filter in grant.writes):
                yield Mistake(
                    c.site.files.agencies if agency else "site.toml",
                    f"agency {agency!r}" if agency else "audit",
                    f"{what}: topic",
                    f"{topic!r} lies where {grant.entry or grant.user} publishes: alerts could be forged there.",
                    "Give it a topic outside of all feeds.",
                )
