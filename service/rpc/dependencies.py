"""Dependencies that servicers share; `service/rpc/server.py` builds them once."""

from __future__ import annotations

from dataclasses import dataclass

from core.extraction.words import Parser
from service.app.ports import ModelHost
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.guard.limits import Limits
from service.rpc.health import Readiness
from service.rpc.log_tail import LogTail
from service.rpc.operations import Operations


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What servicers need to serve a call.

    Attributes:
        retries: number of retries of an append that lost a race, where no version was expected.
        page_bytes: size of the items of one page, at most.
        parser: parser of what users say, loaded on its first use.
        limits: what clients have used; the door counts most of it.
    """

    store: Store
    states: MemoryRepository
    tail: LogTail
    models: ModelHost
    operations: Operations
    readiness: Readiness
    retries: int
    page_bytes: int
    parser: Parser
    limits: Limits
