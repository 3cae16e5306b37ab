"""Executors on Ray, as `hypnogram executor --ray` keeps them.

Ray places and restarts them, and does nothing else: what they owe and what they have done is in the log, and leases
keep two from the same work, as between any executors. The cluster is seen from another process, the driver, which is
begun anew whenever Ray has ended it.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import structlog

from core.errors.base import InvalidField, RayUnavailable
from service.app.store import open_store
from service.executor.on_ray.driver import KINDS, drive
from service.settings import Settings

LOOK_SECONDS = 1.0
SAY_SECONDS = 10.0  # between lines that say what it waits for
CONNECT_SECONDS = 60.0  # for Ray to let a driver in, at least
LAST_SECONDS = 5.0  # for the driver to end, beyond the time that executors get

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Driver:
    process: BaseProcess
    connection: Connection


def run(settings: Settings, stop: threading.Event) -> None:
    """Keeps executors on the cluster of `settings.ray` until `stop` is set, whatever of it is away meanwhile.

    Raises:
        InvalidField: a setting cannot be used with Ray, or the extra `ray` is not installed.
        RayUnavailable: at the beginning no head responds there, or the cluster has fewer slots than asked for.
        LogCutShort, SchemaMismatch: as `open_store`.
    """
    address = _checked(settings)
    with open_store(settings):
        pass  # so that what executors could not open is an error here
    if not _responds(address):
        raise RayUnavailable(settings.ray, "nothing listens there; start a head with `ray start --head`")
    began = False
    while not stop.is_set():
        _until_it_responds(address, stop)
        with _driver(settings, began) as driver:
            why = _connected(driver, settings, stop)
            if why and not began and not stop.is_set():
                raise RayUnavailable(settings.ray, why)
            if not why:
                began = True
                log.info("ray.connected", address=settings.ray)
                _watch(driver, address, stop)
        if not stop.is_set():
            log.warning("ray.lost", address=settings.ray, why=why or "the head or the node of this process is gone")
            stop.wait(LOOK_SECONDS)


def _checked(settings: Settings) -> tuple[str, int]:
    """Returns host and port of the head. Raises InvalidField."""
    host, _, port = settings.ray.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidField("ray", f"{settings.ray!r} is not HOST:PORT, the address that `ray start --head` prints")
    if settings.device not in KINDS:
        raise InvalidField("device", f"{settings.device!r} cannot be used with Ray, which chooses it: cpu or cuda")
    if importlib.util.find_spec("ray") is None:
        raise InvalidField("ray", "needs the package ray: pip install 'hypnogram[ray]'")
    return host.strip("[]"), int(port)


def _responds(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, LOOK_SECONDS).close()
    except OSError:
        return False
    return True


def _until_it_responds(address: tuple[str, int], stop: threading.Event) -> None:
    said = time.monotonic()
    while not stop.is_set() and not _responds(address):
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            log.warning("ray.away")
        stop.wait(LOOK_SECONDS)


@contextmanager
def _driver(settings: Settings, again: bool) -> Iterator[_Driver]:
    """Begins a driver, and ends it with the block: with its executors while it can, else by force."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(target=drive, args=(settings, theirs, writing, again), name="ray-driver", daemon=True)
    process.start()
    theirs.close()
    writing.close()
    reader = threading.Thread(target=_pass_on, args=(reading,), name="ray-output", daemon=True)
    reader.start()
    try:
        yield _Driver(process, ours)
    finally:
        ours.close()
        process.join(settings.stop_seconds + LAST_SECONDS)
        process.kill()
        process.join()
        reader.join(LAST_SECONDS)


def _connected(driver: _Driver, settings: Settings, stop: threading.Event) -> str:
    """Returns an empty text once the driver has asked for executors, else why it could not."""
    began, lines = time.monotonic(), 0
    limit = max(settings.server_seconds, CONNECT_SECONDS)
    while not stop.is_set() and (seconds := time.monotonic() - began) < limit:
        if seconds >= lines * SAY_SECONDS:
            lines += 1
            log.info("ray.connecting", address=settings.ray)
        if wait([driver.connection], LOOK_SECONDS):
            try:
                return str(driver.connection.recv())
            except EOFError:
                return "Ray ended the connection; HYPNOGRAM_LOG_LEVEL=debug shows what it printed"
    driver.process.kill()  # which has no executors yet
    return f"what listens there is not a head of Ray, or did not let this process in within {limit:g} s"


def _watch(driver: _Driver, address: tuple[str, int], stop: threading.Event) -> None:
    """Returns once the driver has ended; says meanwhile when the head is away, and that it is back."""
    there = True
    while driver.process.is_alive() and not stop.wait(LOOK_SECONDS):
        if _responds(address) != there:
            there = not there
            (log.info if there else log.warning)("ray.back" if there else "ray.away")


def _pass_on(output: Connection) -> None:
    """Logs what Ray prints, line by line."""
    with os.fdopen(os.dup(output.fileno()), errors="replace") as lines:
        for line in lines:
            if line.strip():
                log.debug("ray.printed", text=line.rstrip())
