"""One client of the soak, a process of its own: lives one memory after the other until a line comes in.

It writes a JSON line every second, with the operations that ended since the last one, and one at the end, with what it
has told the memory that it leaves behind.

    python -m benchmarks.soak.client SPEC

SPEC is a JSON object: `address` and `http` of the server, `base` (folder of the base model), `number` of the client,
`seed`, `remembers` (whether executors can read turns) and `life` (operations of a memory's life).
"""

from __future__ import annotations

import json
import select
import sys
from typing import Any

from benchmarks.soak.life import Life, Spec
from benchmarks.soak.tally import Tally


def main() -> None:
    """Lives until a line comes in; a failed operation is counted and does not end the process."""
    spec = Spec(**json.loads(sys.argv[1]))
    tally = Tally(_say)
    number, life = 0, None
    while _wanted():
        if life is not None:
            life.end()
        life = Life(spec, number, tally)
        life.live(_wanted)
        number += 1
    left = life.left() if life is not None else None
    _say(tally.taken() | {"ended": True, "left": left})


def _wanted() -> bool:
    return not select.select([sys.stdin], [], [], 0)[0]


def _say(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
