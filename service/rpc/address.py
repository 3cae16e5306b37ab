"""Checks where a server listens. Without tokens, other machines may reach it only if a setting allows that."""

from __future__ import annotations

import ipaddress
import socket

import structlog

from core.errors.base import InvalidField
from service.settings import Settings

log = structlog.get_logger()


def check_host(host: str, field: str = "host", *, guarded: bool, insecure: bool) -> bool:
    """Returns whether other machines can reach `host`.

    Args:
        field: setting that names the host.
        guarded: whether callers need a token.
        insecure: whether they may reach it without one.

    Raises:
        InvalidField: they can reach it, and are neither guarded against nor allowed.
    """
    if _is_loopback(host):
        return False
    if not guarded and not insecure:
        raise InvalidField(
            field,
            f"{host!r} can be reached from other machines, and without authentication everyone there can read, add "
            "and erase. Create a token first (hypnogram token create), listen on 127.0.0.1, or allow it with "
            "--insecure-host (HYPNOGRAM_INSECURE_HOST=true)",
        )
    return True


def warn_of_public(settings: Settings, field: str, host: str, guarded: bool) -> bool:
    """Returns whether other machines reach the host of a server, and warns of what they can do or read there."""
    if not check_host(host, field, guarded=guarded, insecure=settings.insecure_host):
        return False
    address = settings.address if field == "host" else settings.http
    if not guarded:
        log.warning("server.insecure", address=address, why="other machines reach it without authentication")
    elif settings.tls_certificate is None:
        log.warning("server.readable", address=address, why="tokens cross the network without TLS")
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
