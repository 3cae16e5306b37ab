"""A Python client of Hypnogram, blocking or for asyncio: every call of `hypnogram.v1` as one method.

with Client("127.0.0.1:50051") as client:
    client.create_memory("demo")
    client.add_facts("demo", [new_fact("Aria Voss", "lives in", "Lisbon")], wait=True)
    print("".join(piece.text for piece in client.chat("demo", "Where does Aria Voss live?")))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypnogram.client.errors import CallFailed

if TYPE_CHECKING:
    from hypnogram.client.calls.facts import new_fact
    from hypnogram.client.client import AsyncClient, Client

__all__ = ["AsyncClient", "CallFailed", "Client", "new_fact"]


def __getattr__(name: str) -> Any:
    """Imports gRPC when a client is first asked for, because a command line that prints its help does not need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hypnogram.client import calls, client

    return calls.facts.new_fact if name == "new_fact" else getattr(client, name)
