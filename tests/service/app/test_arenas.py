"""The allocator keeps few arenas, however many threads allocate."""

from __future__ import annotations

import os
import re
import subprocess
import sys

THREADS_ALLOCATE = """
import ctypes, sys, threading
from service.app.arenas import limit_arenas

if sys.argv[1] == "limited":
    limit_arenas()
met = threading.Barrier(8)

def allocate():
    held = bytearray(2**12)
    met.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
"""


def arenas(how: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", THREADS_ALLOCATE, how]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return len(re.findall(r"<heap nr=", run.stdout))


def test_threads_share_two_arenas() -> None:
    # given threads that allocate at the same time, which have arenas of their own
    assert arenas("as ever") > 2

    # when arenas are limited before, then there are two
    assert arenas("limited") <= 2
