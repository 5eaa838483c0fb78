"""Where a site's state lies, the keys in it, and the history that the site names."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from history.embedded import EmbeddedStore
from history.influx import InfluxStore
from history.store import Store
from runtime.entries import Configuration
from sensors.keys import DayKeys, lasting_key


@dataclass(frozen=True)
class Places:
    """Where a site's state lies."""

    state: Path

    @property
    def database(self) -> Path:
        return self.state / "marchwarden.db"

    @property
    def commits(self) -> Path:
        """How many commits the database has had: whether it lost some."""
        return self.state / "commits.json"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def history(self) -> Path:
        return self.state / "history"

    @property
    def aside(self) -> Path:
        """Messages that raised an exception, sealed, for the maintainer."""
        return self.state / "aside"

    @property
    def vault(self) -> Path:
        """Sealed plates and pictures."""
        return self.state / "vault"

    @property
    def picture(self) -> Path:
        """What moves now, as the console shows it."""
        return self.state / "live.json"

    @property
    def console(self) -> Path:
        """The console's address, while it is served."""
        return self.state / "console.address"

    @property
    def processes(self) -> Path:
        """What each process says of itself."""
        return self.state / "processes"

    @property
    def audit(self) -> Path:
        return self.state / "audit.log"

    def journal_keys(self) -> DayKeys:
        return DayKeys(self.state / "keys", "journal")


def private_folder(state: Path) -> None:
    """The state folder, there and open to nobody else: what is in it (keys, plates, who looked) needs no further mode."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if state.stat().st_mode & 0o077:
        state.chmod(0o700)


def plate_key(c: Configuration) -> bytes:
    """The key of plate tokens: the site's own file, or one made in the state folder. Raises KeyUnusable."""
    return lasting_key(plate_key_file(c))


def plate_key_file(c: Configuration) -> Path:
    own = c.site.privacy.plate_key_file
    return c.folder / own if own else c.state / "keys" / "plates.key"


def audit_key(c: Configuration) -> bytes:
    """The key of the audit log: the site's own file, or one made in the state folder."""
    own = c.site.audit.audit_key_file
    return lasting_key(c.folder / own if own else c.state / "keys" / "audit.key")


def exercise_key(c: Configuration) -> bytes:
    """A key for replays where the site has none yet: the same on every machine, and so no secret."""
    own = c.site.privacy.plate_key_file
    path = c.folder / own if own else c.state / "keys" / "plates.key"
    return path.read_bytes() if path.exists() else hashlib.sha256(f"exercise {c.site.site.name}".encode()).digest()


def history_of(c: Configuration, write: bool = False) -> Store:
    """The history store that the site names."""
    said = c.site.history
    if said.store == "embedded":
        return EmbeddedStore(Places(c.state).history, write)
    token = c.path(said.token_file).read_text().strip() if said.token_file else ""
    return InfluxStore(said.url, said.database, token, said.org)
