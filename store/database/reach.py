"""Whether an error says that the store is out of reach for now: no database, or a disk that is full or read-only.

Such an error passes by itself or once there is room, and says nothing about the request.
"""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

_OS = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES EBUSY EDQUOT EFBIG EIO EISDIR EMFILE ENFILE ENODEV ENOMEM ENOSPC ENOTDIR ENXIO EPERM EROFS ESTALE"
    ).split()
)
_SQLITE = frozenset(
    getattr(sqlite3, f"SQLITE_{name}")
    for name in "PERM BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN PROTOCOL".split()
)
# Classes of SQLSTATE: connection, read-only, lost race, resources, not in that state, operator, system.
_POSTGRESQL = ("08", "25006", "40", "53", "55", "57", "58")


def why_out_of_reach(error: BaseException) -> str | None:
    """Returns why the store is out of reach, in the words of the system; None for an error of another kind."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return _said(error)
        return None if error.orig is None else why_out_of_reach(error.orig)
    if isinstance(error, sqlite3.Error):
        return (
            _said(error) if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE else None
        )  # the other bits say how
    if isinstance(error, OSError):
        return _said(error) if error.errno in _OS else None
    if hasattr(error, "sqlstate"):  # psycopg's; one without a state never reached the database
        name, state = type(error).__name__, error.sqlstate
        lost = state is None and name in ("OperationalError", "ConnectionTimeout", "InterfaceError")
        return _said(error) if lost or (state or "").startswith(_POSTGRESQL) else None
    return None


def _said(error: BaseException) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
