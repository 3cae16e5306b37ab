"""Limits the arenas of glibc's allocator, in each of which free memory stays between what is in use.

By default a process has up to eight for each core, one for a thread or a few. A server's threads come and go, so that
what is free in one arena is not what the next thread needs (docs/benchmarks.md, "bench soak").
"""

from __future__ import annotations

import ctypes

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h


def limit_arenas() -> None:
    """Limits the arenas of this process from now on. With another allocator than glibc's it does nothing."""
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_M_ARENA_MAX, ARENAS)
