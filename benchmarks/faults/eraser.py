"""Erases a key and goes on writing, as a server does, until it is killed.

It wipes one key from the database and prints "erased". Then it appends an event for each line of input and prints
"durable" once the event is acknowledged.

    python -m benchmarks.faults.eraser DATABASE-URL MEMORY
"""

from __future__ import annotations

import os
import sys

from sqlalchemy import insert

from core.events import Cause
from core.events.history import CheckpointMarked
from core.ids import FactId, MemoryId
from store.clock import next_event_id
from store.database.schema import data_keys
from store.log.event_log import EventLog
from store.log.rows import NewEvent
from store.sealing.destroy_key import throw_key_away


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    url, memory = sys.argv[1:]
    with EventLog.open(url) as log:
        with log.engine.begin() as connection:
            connection.execute(insert(data_keys).values(fact="forgotten", key=os.urandom(32)))
        throw_key_away(log.engine, FactId("forgotten"))
        say("erased")
        for number, _ in enumerate(sys.stdin):
            marked = CheckpointMarked(name=f"mark-{number}", version=1, weights=None)
            log.append(
                MemoryId(memory), [NewEvent(id=next_event_id(), event=marked, cause=Cause(actor="tester"))], None
            )
            say("durable")


if __name__ == "__main__":
    main()
