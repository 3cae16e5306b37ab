"""Says whether what listens at an address speaks TLS and may be trusted, because a call that fails does not say why."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

PROBE_SECONDS = 3.0
PLAIN = "WRONG_VERSION_NUMBER"  # what OpenSSL takes an answer for that is not TLS
EXPIRED, TOO_EARLY = 10, 9  # what OpenSSL says of certificates, as numbers of X509_V_ERR
OTHER_NAMES = (62, 64)  # for a host's name and for its address
UNSIGNED = (2, 18, 19, 20, 21)  # ways in which the issuer is missing


def speaks_tls(address: str) -> bool | None:
    """Returns whether the server at HOST:PORT speaks TLS; None where none listens there, or it does not respond."""
    context = _context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    try:
        _shake_hands(address, context)
    except ssl.SSLError as error:
        return False if error.reason == PLAIN else None
    except (OSError, ValueError):
        return None
    return True


def why_distrusted(address: str, authority: Path) -> str:
    """Returns what is wrong with the certificate of the server at HOST:PORT, as it follows "the server" in a sentence.

    Args:
        authority: file of those that must have signed it.

    Returns:
        Empty where nothing is wrong, or the server does not show one.
    """
    context = _context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in gRPC, which trusts each certificate of the file
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError:
        return f"cannot be trusted, because {authority} (HYPNOGRAM_SERVER_CA) is not a certificate in PEM"
    try:
        _shake_hands(address, context)
    except ssl.SSLCertVerificationError as error:
        return _in_words(error, address, authority)
    except (OSError, ValueError):
        pass
    return ""


def _in_words(error: ssl.SSLCertVerificationError, address: str, authority: Path) -> str:
    if error.verify_code in UNSIGNED:
        return (
            f"shows a certificate that no authority in {authority} has signed; name the one that has with "
            "HYPNOGRAM_SERVER_CA"
        )
    if error.verify_code == EXPIRED:
        return "shows a certificate that has expired, or its authority's has; renew it and start the server again"
    if error.verify_code == TOO_EARLY:
        return "shows a certificate that is not valid yet; compare the clocks of both machines"
    if error.verify_code in OTHER_NAMES:
        return (
            f"shows a certificate that is not for {_host(address)!r}; name the server as its certificate does, with "
            "--address, or give it a certificate for this name"
        )
    return f"shows a certificate that cannot be trusted: {error.verify_message}"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    return context


def _shake_hands(address: str, context: ssl.SSLContext) -> None:
    """Raises OSError, ssl.SSLError or ValueError where that fails."""
    host, port = _host(address), int(address.rpartition(":")[2])
    with socket.create_connection((host, port), PROBE_SECONDS) as connection:
        context.wrap_socket(connection, server_hostname=host).close()


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
