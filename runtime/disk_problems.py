"""What the disk refuses, as a sentence that names the file and says what to do."""

import errno
import sqlite3

_HINTS = {
    errno.ENOSPC: ("the disk is full", "Free space on it"),
    errno.EDQUOT: ("the disk quota is used up", "Free space, or raise the quota"),
    errno.EFBIG: ("it would become larger than this process may write", "Raise the limit of file sizes (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "Mount it for writing"),
    errno.EACCES: ("this user may not", "Give the user that runs Marchwarden the state folder"),
    errno.EPERM: ("this user may not", "Give the user that runs Marchwarden the state folder"),
    errno.EIO: ("the disk reports an error", "Look into the system's log, and replace the disk"),
}
_SQLITE_HINTS = {
    "SQLITE_FULL": _HINTS[errno.ENOSPC],
    "SQLITE_READONLY": _HINTS[errno.EROFS],
    "SQLITE_CANTOPEN": (
        "it cannot be opened for writing",
        "Look whether the disk is read-only, and whose the folder is",
    ),
    "SQLITE_IOERR": _HINTS[errno.EIO],
    "SQLITE_PERM": _HINTS[errno.EACCES],
    "SQLITE_BUSY": ("another process holds it for long", "Try again"),
    "SQLITE_CORRUPT": ("it is damaged", "Restart the service: it keeps what can be read and reads the journal again"),
    "SQLITE_NOTADB": ("it is damaged", "Restart the service: it keeps what can be read and reads the journal again"),
}
DATABASE = "marchwarden.db"


def disk_problem(error: Exception) -> str | None:
    """The sentence; None where the error is none of the disk's."""
    if isinstance(error, sqlite3.DatabaseError):
        name = getattr(error, "sqlite_errorname", "")
        hint = next((hint for code, hint in _SQLITE_HINTS.items() if name.startswith(code)), None)
        path = next(iter(getattr(error, "__notes__", ())), DATABASE)
        return None if hint is None else f"{path}: {hint[0]} ({error}). {hint[1]}."
    if isinstance(error, OSError) and error.errno in _HINTS:
        what, mend = _HINTS[error.errno]
        return f"{error.filename or 'A file of the state folder'}: {what} ({error.strerror}). {mend}."
    return None
