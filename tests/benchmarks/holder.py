"""A process that holds ten open files, three threads beside its own and a child, until its input ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack


def main() -> None:
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(open(sys.argv[1], "w"))
        _hold()


def _hold() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    sys.stdout.write("holds\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    child.communicate()


if __name__ == "__main__":
    main()
