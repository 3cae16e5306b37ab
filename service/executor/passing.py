"""Errors that pass by themselves or are repaired by hand, as a full disk: the work waits, and no attempt is counted."""

from __future__ import annotations

import errno
import sqlite3
import traceback
from pathlib import Path

import torch
from sqlalchemy.exc import SQLAlchemyError

from core.errors.base import (
    ArtifactMissing,
    ArtifactsUnreachable,
    DeviceUnavailable,
    HypnogramError,
    ModelUnavailable,
    NotReady,
    ParserUnavailable,
)

OUT_OF_MEMORY = "OUT_OF_MEMORY"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CPU_ALLOCATOR = "can't allocate memory"  # in the message, because torch has a type for it on devices only


def passing(error: Exception) -> str | None:
    """Returns the reason of an error that passes; None where the work itself, or what is stored, is at fault."""
    match error:
        case ModelUnavailable() | ParserUnavailable() | DeviceUnavailable() | NotReady():
            return error.reason
        case ArtifactMissing() | ArtifactsUnreachable():
            return error.reason
        case SQLAlchemyError() | sqlite3.Error():
            return "DATABASE_UNAVAILABLE"
        case MemoryError() | torch.OutOfMemoryError():
            return OUT_OF_MEMORY
        case torch.AcceleratorError():
            return DeviceUnavailable.reason
        case RuntimeError() if CPU_ALLOCATOR in str(error):
            return OUT_OF_MEMORY
        case OSError():
            return "DISK_FULL" if error.errno in FULL else "STORAGE_UNAVAILABLE"
        case _:
            return None


def without_words(error: Exception) -> str:
    """Returns what the log may keep about `error`, without words of a fact: its message, or else only its place."""
    if isinstance(error, HypnogramError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"  # the words of the system
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
