"""TLS for both ports of a server, from files that the settings name."""

from __future__ import annotations

import ssl

import grpc

from core.errors.base import InvalidField
from service.settings import Settings


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Returns what the gRPC port speaks TLS with; None where the settings name no certificate.

    Raises:
        InvalidField: a file is missing or cannot be used, or one is named without the other.
    """
    server_context(settings)
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    authority = None if settings.tls_client_ca is None else settings.tls_client_ca.read_bytes()
    pair = (settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """Returns what the HTTP port speaks TLS with; None where the settings name no certificate.

    Raises:
        InvalidField: a file is missing or cannot be used, or one is named without the other.
    """
    certificate, key, authority = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
    if certificate is None or key is None:
        for name in ("tls_certificate", "tls_key", "tls_client_ca"):
            if getattr(settings, name) is not None:
                raise InvalidField(name, "is not enough for TLS; name tls_certificate and tls_key")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidField(
            "tls_certificate", f"{certificate} and its key {key}, in PEM, cannot be used: {error}"
        ) from None
    try:
        if authority is not None:
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise InvalidField("tls_client_ca", f"{authority}, in PEM, cannot be used: {error}") from None
    return context
