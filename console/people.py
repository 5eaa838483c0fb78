"""Who may use the console, and what each of them may do. Pure but for the chance in new secrets."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

COST, BLOCK, LANES = 1 << 14, 8, 1  # scrypt: some 16 MiB and 50 ms a try (RFC 7914)


class May(StrEnum):
    """What one may do."""

    SEE = "see"  # the map, incidents and their evidence
    ACT = "act"  # acknowledge, assign, note, resolve, accept, decline, hand over, share, merge, split; shift notes
    SILENCE = "silence"
    HISTORY = "history"  # replay and charts
    SENSORS = "sensors"  # their health, and what was rejected
    METRICS = "metrics"


ROLES: dict[str, frozenset[May]] = {
    "observer": frozenset({May.SEE}),
    "officer": frozenset({May.SEE, May.ACT, May.SILENCE, May.HISTORY, May.SENSORS}),
    "supervisor": frozenset(May),
    "analyst": frozenset({May.SEE, May.HISTORY, May.SENSORS}),
    "technician": frozenset({May.SENSORS, May.METRICS}),
}


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, or a program with a token."""

    id: str
    name: str
    agency: str  # empty: of the site, and sees all
    role: str

    def may(self, what: May) -> bool:
        return what in ROLES[self.role]


@dataclass(frozen=True)
class Account:
    """A person, and how he is known: a password's scrypt, or the SHA-256 of a program's token."""

    person: Person
    password: str = ""
    token: str = ""


class Accounts:
    """All accounts of a site. Without any, whoever sits at this machine is its supervisor."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._of_id = {a.person.id: a for a in accounts}
        self._nobody = hashed(secrets.token_hex(16))

    @property
    def any(self) -> bool:
        return bool(self._of_id)

    def of_id(self, id: str) -> Person | None:
        """The person, while he still has an account."""
        if not self._of_id:
            return LOCAL if id == LOCAL.id else None
        account = self._of_id.get(id)
        return account.person if account else None

    def credential_of(self, id: str) -> str:
        """A fingerprint of what this account signs in with: it changes when its password does."""
        account = self._of_id.get(id)
        return hashlib.sha256(account.password.encode()).hexdigest()[:32] if account else ""

    def with_password(self, id: str, password: str) -> Person | None:
        """Whoever this is; takes as long for somebody unknown."""
        account = self._of_id.get(id)
        known = account is not None and bool(account.password)
        right = matches(password, account.password if account is not None and known else self._nobody)
        return account.person if account is not None and known and right else None

    def with_token(self, token: str) -> Person | None:
        """The program with this token."""
        if not token:
            return None
        said = token_hash(token)
        found = [a.person for a in self._of_id.values() if a.token and hmac.compare_digest(a.token, said)]
        return found[0] if found else None


LOCAL = Person("local", "This machine", "", "supervisor")


def hashed(password: str) -> str:
    """What is kept of a password: `scrypt$<salt>$<hash>`, hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def matches(password: str, kept: str) -> bool:
    """Is this the password that was kept so?"""
    kind, _, rest = kept.partition("$")
    salt, _, expected = rest.partition("$")
    if kind != "scrypt":
        return False
    try:
        return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(expected))
    except ValueError:
        return False


def token_hash(token: str) -> str:
    """What is kept of a program's token. It is long and by chance, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES)
