"""The driver: a process of its own that keeps executors on the slots of a Ray cluster and says where they are.

It owns them, so that they end when it does: none outlives the command, or works on with settings of before. It may be
ended by Ray at any moment, because Ray aborts a process whose node is gone or whose head has lost its state.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

import structlog

from service.executor.on_ray.slot import Slot, Whereabouts
from service.log_setup import configure
from service.settings import Settings

LOOK_SECONDS = 1.0
LOOKS = 2  # after which a slot that has no place yet is reported
KINDS = {"cpu": "CPU", "cuda": "GPU"}  # by torch device: what a slot takes of a node
NAMESPACE = "hypnogram"

log = structlog.get_logger()


def drive(settings: Settings, command: Connection, output: Connection, again: bool) -> None:
    """Keeps executors on the cluster until `command` is closed at its other end.

    Args:
        command: is sent an empty text once the cluster has been asked for them, else why it cannot be.
        output: where everything goes that Ray prints.
        again: whether it was done before, so that a node which is away is waited for.
    """
    configure(settings.log_format, settings.log_level, os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1))
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output.fileno(), stream.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import ray

    try:
        ray.init(settings.ray, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except Exception as error:
        command.send(" ".join(str(error).split()) or type(error).__name__)
        return
    for number in (signal.SIGINT, signal.SIGTERM):  # which a terminal or systemd sends to all processes of a command
        signal.signal(number, signal.SIG_IGN)
    asked, there = max(settings.ray_slots, 1), _there(settings)
    if there < asked and not again:
        command.send(f"it has {there} of the {asked} {KINDS[settings.device]}s that are asked for")
        return
    command.send("")
    slots: list[_Kept] = []
    while not command.poll(LOOK_SECONDS):
        there = _there(settings)  # raises nothing, and ends the process where the head has lost its state
        slots += [_Kept(number, settings) for number in range(len(slots), settings.ray_slots or there)]
        for slot in slots:
            slot.look()
    _stop(slots, settings.stop_seconds)
    ray.shutdown()


class _Kept:
    """A slot, and what was heard from it last."""

    def __init__(self, number: int, settings: Settings) -> None:
        self._number, self._settings = number, settings
        self._place()

    def _place(self) -> None:
        """Asks Ray for a process, which it provides once a node has room for it."""
        import ray

        needs = {"num_cpus": 1} if KINDS[self._settings.device] == "CPU" else {"num_cpus": 0, "num_gpus": 1}
        actor = ray.remote(Slot).options(max_restarts=-1, scheduling_strategy="SPREAD", **needs)
        self.actor: Any = actor.remote(self._settings)
        self._at: Whereabouts | None = None
        self._ask()

    def _ask(self) -> None:
        self._answer, self._looks = self.actor.where.remote(), 0

    def look(self) -> None:
        """Logs what has changed since the last look."""
        import ray
        from ray.exceptions import ActorDiedError, RayError

        if not ray.wait([self._answer], timeout=0)[0]:
            self._looks += 1
            if self._looks == LOOKS and self._at is None:
                log.info(
                    "slot.waits", slot=self._number, why=f"for a free {KINDS[self._settings.device]} and a process"
                )
            return
        try:
            at: Whereabouts = ray.get(self._answer)
        except ActorDiedError as error:  # for good, as where hypnogram is not installed on its node
            log.error("slot.failed", slot=self._number, error=" ".join(str(error).split()))
            self._place()
        except RayError as error:
            if self._at is not None:
                log.warning("slot.away", slot=self._number, reason=type(error).__name__)
            self._at = None
            self._ask()
        else:
            if at != self._at:
                write = log.warning if at.problem else log.info
                write("slot.placed", slot=self._number, node=at.node, pid=at.pid, problem=at.problem)
            self._at = at
            self._ask()


def _there(settings: Settings) -> int:
    """Returns how many slots the nodes of the cluster have."""
    import ray

    return int(ray.cluster_resources().get(KINDS[settings.device], 0))


def _stop(slots: Sequence[_Kept], seconds: float) -> None:
    import ray

    if slots:
        ray.wait([slot.actor.stop.remote() for slot in slots], num_returns=len(slots), timeout=seconds)


def _end_with_parent() -> None:
    """Ends this process once the command has, however it was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
