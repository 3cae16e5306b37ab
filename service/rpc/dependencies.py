"""What servicers are made of; `service/rpc/server.py` puts it together once."""

from __future__ import annotations

from dataclasses import dataclass

from service.app.ports import Models
from service.app.repository import States
from service.app.store import Store
from service.rpc.health import Readiness
from service.rpc.log_tail import Tail
from service.rpc.operations import Operations


@dataclass(frozen=True, slots=True)
class Parts:
    """
    Attributes:
        retries: of an append that lost a race, where no version was expected.
        page_bytes: of the items of one page, at most.
    """

    store: Store
    states: States
    tail: Tail
    models: Models
    operations: Operations
    readiness: Readiness
    retries: int
    page_bytes: int
