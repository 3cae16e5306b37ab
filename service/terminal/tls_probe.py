"""Says whether a server speaks TLS, may be trusted and lets a client in, because a call that fails does not say why."""

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
    try:
        context = _trusting(authority)
    except ssl.SSLError:
        return f"cannot be trusted, because {authority} (HYPNOGRAM_SERVER_CA) is not a certificate in PEM"
    try:
        _shake_hands(address, context)
    except ssl.SSLCertVerificationError as error:
        return _in_words(error, address, authority)
    except (OSError, ValueError):
        pass
    return ""


def why_refused(address: str, authority: Path, certificate: Path | None, key: Path | None) -> str:
    """Returns why the server at HOST:PORT lets in no client with that certificate, as it follows "the server".

    Args:
        authority: file of those that must have signed the server's.
        certificate: of the client; None where it shows none.

    Returns:
        Empty where the server lets it in, or does not say why not.
    """
    context = _trusting(authority)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except ssl.SSLError:
            return (
                f"cannot be called, because {certificate} (HYPNOGRAM_CLIENT_CERTIFICATE) and {key} "
                "(HYPNOGRAM_CLIENT_KEY) are not a certificate and its key in PEM"
            )
    if not _is_closed(address, context):
        return ""
    if certificate is None:
        return (
            "demands a certificate of its clients; name one that its authority has signed with "
            "HYPNOGRAM_CLIENT_CERTIFICATE, and the key of it with HYPNOGRAM_CLIENT_KEY"
        )
    return (
        f"does not accept the certificate in {certificate} (HYPNOGRAM_CLIENT_CERTIFICATE); name one that its authority "
        "has signed and that is valid now"
    )


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


def _trusting(authority: Path) -> ssl.SSLContext:
    """Returns what trusts each certificate of the file, as gRPC does. Raises ssl.SSLError where it has none."""
    context = _context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(authority)
    return context


def _shake_hands(address: str, context: ssl.SSLContext) -> None:
    """Raises OSError, ssl.SSLError or ValueError where that fails."""
    _secured(address, context).close()


def _is_closed(address: str, context: ssl.SSLContext) -> bool:
    """Returns whether the server closes the connection right after the handshake.

    From TLS 1.3 on it looks at the certificate of a client when that believes the handshake to have ended. One that
    lets the client in sends its settings first, or waits for a request.
    """
    try:
        secured = _secured(address, context)
    except (OSError, ValueError):
        return False
    with secured:
        try:
            return not secured.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


def _secured(address: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Returns a connection that speaks TLS. Raises OSError, ssl.SSLError or ValueError."""
    host, port = _host(address), int(address.rpartition(":")[2])
    with socket.create_connection((host, port), PROBE_SECONDS) as connection:
        return context.wrap_socket(connection, server_hostname=host)


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
