"""Children to be killed: forked from one process that has torch and the base model loaded already.

Each line read names a folder, a seed, the seconds to live and how many facts to tell. The child opens the log in that
folder, works as an executor and tells facts at the same time; every fact that was acknowledged is written out, and so
is the death.

    python -m tests.service.nursery FOLDER-WITH-A-MEMORY
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from random import Random

from service.executor import Executor
from service.subjects import Subjects
from service.telemetry import configure
from service.wiring import opened, prepare_torch
from tests.prepared import Place, state_of, tell


def live(place: Place, subjects: Subjects, seed: int, facts: int) -> None:
    """Works and tells facts until it is killed."""
    random = Random(seed)
    with opened(place.settings()) as store:
        settings = place.settings().model_copy(update={"lease_seconds": 0.1})  # the dead must not hold up the next
        executor = Executor(store.log, store.artifacts, store.snapshots, settings, subjects)
        threading.Thread(target=executor.run, args=(threading.Event(),), daemon=True).start()
        for number in range(facts):
            time.sleep(random.uniform(0, 0.1))
            name = f"Aria Number{seed}x{number}"
            (fact,) = tell(store, (name, "lives in", random.choice(("Rome", "Lima", "Oslo"))))
            say(f"told {fact}")
        time.sleep(3600)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    configure("json", "error")
    place, subjects = Place(Path(sys.argv[1])), Subjects("cpu")
    prepare_torch(place.settings())
    with opened(place.settings()) as store:
        created = state_of(store).created
        assert created is not None
        subjects.twin(created)
    for other in threading.enumerate():
        if other is not threading.main_thread():
            other.join(10)  # those that loaded the model end by themselves, a moment later
    assert threading.active_count() == 1, f"a fork would copy one thread of several: {threading.enumerate()}"
    say("ready")
    for line in sys.stdin:
        folder, seed, seconds, facts = line.split()
        child = os.fork()
        if not child:
            live(Place(Path(folder)), subjects, int(seed), int(facts))
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the child ended by itself: {status}"
        say("killed")


if __name__ == "__main__":
    main()
