"""Checks where a server listens. Without authentication, other machines may reach it only if a setting allows that."""

from __future__ import annotations

import ipaddress
import socket

from core.errors.base import InvalidField


def check_host(host: str, insecure: bool, field: str = "host") -> bool:
    """Returns whether other machines can reach `host`. Raises InvalidField if they can and `insecure` is false.

    Args:
        field: setting that names the host.
    """
    if _is_loopback(host):
        return False
    if not insecure:
        raise InvalidField(
            field,
            f"{host!r} can be reached from other machines, and without authentication everyone there can read, add "
            "and erase. Listen on 127.0.0.1, behind a proxy that authenticates callers, or allow it with "
            "--insecure-host (HYPNOGRAM_INSECURE_HOST=true)",
        )
    return True


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; also true of an invalid host, because listening on it fails."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        addresses = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return True
    return bool(addresses) and all(ipaddress.ip_address(address[0]).is_loopback for *_, address in addresses)
