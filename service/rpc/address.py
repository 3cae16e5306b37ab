"""Where a server may listen: it asks nobody who they are, so that others reach it only where somebody decided that."""

from __future__ import annotations

import ipaddress
import socket

from core.errors.base import InvalidField


def check_host(host: str, insecure: bool) -> bool:
    """Whether other machines can reach `host`. Raises InvalidField where they can and `insecure` does not allow it."""
    if _is_loopback(host):
        return False
    if not insecure:
        raise InvalidField(
            "host",
            f"{host!r} can be reached from other machines, and whoever reaches it may read, tell and erase: there is "
            "no authentication. Listen on 127.0.0.1, behind a proxy that asks who calls, or allow it with "
            "--insecure-host (HYPNOGRAM_INSECURE_HOST=true)",
        )
    return True


def _is_loopback(host: str) -> bool:
    """Whether this machine alone can reach `host`; what is no host at all is left to whoever listens on it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return True
    return bool(found) and all(ipaddress.ip_address(at[0]).is_loopback for *_, at in found)
