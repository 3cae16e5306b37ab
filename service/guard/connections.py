"""How many connections a port may hold, by the settings and by the files that this process may open."""

from __future__ import annotations

import resource

import structlog

RESERVED = 256  # open files that connections leave to the database, artifacts and models

log = structlog.get_logger()


def room_for(wanted: int, ports: int) -> int:
    """Returns how many connections each of `ports` may hold: `wanted`, or as many as there may be open files.

    It raises the soft limit of open files as far as that takes, and the hard one allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = ports * wanted + RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    room = max((soft - RESERVED) // ports, 1)
    log.warning("connections.limited", wanted=wanted, allowed=room, open_files=soft)
    return room
