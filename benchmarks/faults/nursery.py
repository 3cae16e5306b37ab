"""Forks processes that are killed, from one that has already loaded torch and the base model.

Each line of input names an activity, a folder, a seed, the seconds until the kill, a number of repetitions, and the
seconds by which the clock of the child is wrong. The output names what was acknowledged, and then says "killed".

    python -m benchmarks.faults.nursery FOLDER-WITH-A-MEMORY
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import import_module
from pathlib import Path
from random import Random

from benchmarks.support.place import BRIEF, Place, start_sleep, state_of, take_back, tell
from core.ids import MemoryId
from service.app.store import Store, open_store
from service.executor.loop import Executor
from service.log_setup import configure
from service.weights.base_models import BaseModels
from service.weights.torch_setup import prepare_torch
from store import clock
from store.archive.importing import import_archive

Activity = Callable[[Store, Place, int, int], None]  # store, place, seed, repetitions


def telling(store: Store, place: Place, seed: int, times: int) -> None:
    random = Random(seed)
    for number in range(times):
        time.sleep(random.uniform(0, 0.1))
        object_ = random.choice(("Rome", "Lima", "Oslo"))
        (fact,) = tell(store, (f"Aria Number{seed}x{number}", "lives in", object_))
        say(f"told {fact}")


def sleeping(store: Store, place: Place, seed: int, times: int) -> None:
    for _ in range(times):
        if state_of(store).sleep is None:
            say(f"asleep {start_sleep(store, seed, BRIEF)}")
        while state_of(store).sleep is not None:
            time.sleep(0.02)


def erasing(store: Store, place: Place, seed: int, times: int) -> None:
    random = Random(seed)
    standing = [fact for fact, state in state_of(store).facts.items() if not state.retracted]
    for fact in standing[:times]:
        time.sleep(random.uniform(0, 0.1))
        take_back(store, fact, erase=True)
        say(f"erased {fact}")


def importing(store: Store, place: Place, seed: int, times: int) -> None:
    missing = [file for file in sorted(place.folder.glob("*.tar")) if file.stem not in store.log.memories()]
    for file in missing[:times]:
        import_archive(file, store.log, store.artifacts, MemoryId(file.stem))
        say(f"imported {file.stem}")


def executing(store: Store, place: Place, seed: int, times: int) -> None:
    """Does nothing itself: `live` runs an executor beside every activity."""


def finishing(store: Store, place: Place, seed: int, times: int) -> None:
    """Ends by itself once the night has ended, so that an unkilled one is computed in the same kind of process."""
    while state_of(store).sleep is not None:
        time.sleep(0.02)
    os._exit(0)


ACTIVITIES: dict[str, Activity] = {
    made.__name__: made for made in (telling, sleeping, erasing, importing, executing, finishing)
}  # in the order in which they are reported


def live(activity: Activity, place: Place, bases: BaseModels, seed: int, times: int) -> None:
    """Runs `activity` beside an executor until the process is killed."""
    with open_store(place.settings()) as store:
        # a short lease, so that a killed process does not delay the next
        settings = place.settings().model_copy(update={"lease_seconds": 0.1})
        executor = Executor(store.log, store.artifacts, store.snapshots, settings, bases)
        threading.Thread(target=executor.run, args=(threading.Event(),), daemon=True).start()
        activity(store, place, seed, times)
        time.sleep(3600)


def set_clock(seconds: float) -> None:
    """Makes the wall clock of this process wrong by `seconds`; the monotonic clock stays right."""
    real, real_ns = time.time, time.time_ns

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Wrong:
            return cls.fromtimestamp(real(), tz or UTC) + timedelta(seconds=seconds)

    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    setattr(clock, "datetime", Wrong)  # noqa: B010 - it is not the module's to give away


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    configure("json", "error")
    place, bases = Place(Path(sys.argv[1])), BaseModels("cpu")
    prepare_torch(place.settings())
    with open_store(place.settings()) as store:
        created = state_of(store).created
        assert created is not None
        bases.clone(created)
    import_module("peft")  # or each child would, in a night of LoRA
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10)  # those that loaded the model end by themselves, a moment later
    assert threading.active_count() == 1, f"a fork would copy one thread of several: {threading.enumerate()}"
    say("ready")
    for line in sys.stdin:
        activity, folder, seed, seconds, times, wrong = line.split()
        child = os.fork()
        if not child:
            set_clock(float(wrong))
            live(ACTIVITIES[activity], Place(Path(folder)), bases, int(seed), int(times))
        _wait(child, float(seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            say(f"ended {status}")  # by itself
        say("killed")


def _wait(child: int, seconds: float) -> None:
    """Waits for so long, less where the child ends by itself."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(min(left, 0.005))


if __name__ == "__main__":
    main()
