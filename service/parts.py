"""What servicers are made of; `service/server.py` puts it together once."""

from __future__ import annotations

from dataclasses import dataclass

from service.operations import Operations
from service.ports import Models
from service.readiness import Readiness
from service.states import States
from service.tail import Tail
from service.wiring import Store


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
