"""Says whether what listens at an address speaks TLS, because a call without an answer does not say why."""

from __future__ import annotations

import socket
import ssl

PROBE_SECONDS = 3.0
PLAIN = "WRONG_VERSION_NUMBER"  # what OpenSSL takes an answer for that is not TLS


def speaks_tls(address: str) -> bool | None:
    """Returns whether the server at HOST:PORT speaks TLS; None where none listens there, or it does not respond."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS) as connection:
            context.wrap_socket(connection).close()
    except ssl.SSLError as error:
        return False if error.reason == PLAIN else None
    except (OSError, ValueError):
        return None
    return True
