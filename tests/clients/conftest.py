"""The server that clients in other languages and examples talk to."""

from tests.service.conftest import demo, server, settings

__all__ = ["demo", "server", "settings"]
