"""How long tests wait for what has to happen: as long as a busy machine takes, so that no test depends on seconds."""

import time
from collections.abc import Callable

PATIENCE = 600.0  # seconds until what has not happened counts as stuck; pytest's own limit is twice that


def eventually(so: Callable[[], object]) -> None:
    """Returns once `so` is true; raises AssertionError where it stays false for as long as tests are patient."""
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline, f"still false after {PATIENCE:g} seconds"
        time.sleep(0.01)
