"""Errors that pass by themselves or are repaired by hand, as a full disk: the work waits, and no attempt is counted."""

from __future__ import annotations

import errno
import sqlite3

import torch
from sqlalchemy.exc import SQLAlchemyError

from core.errors.base import ArtifactMissing, DeviceUnavailable, ModelUnavailable, NotReady, ParserUnavailable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CPU_ALLOCATOR = "can't allocate memory"  # in the message, because torch has a type for it on devices only


def passing(error: Exception) -> str | None:
    """Returns the reason of an error that passes; None where the work itself, or what is stored, is at fault."""
    match error:
        case ModelUnavailable() | ParserUnavailable() | DeviceUnavailable() | ArtifactMissing() | NotReady():
            return error.reason
        case SQLAlchemyError() | sqlite3.Error():
            return "DATABASE_UNAVAILABLE"
        case MemoryError() | torch.OutOfMemoryError():
            return "OUT_OF_MEMORY"
        case torch.AcceleratorError():
            return DeviceUnavailable.reason
        case RuntimeError() if CPU_ALLOCATOR in str(error):
            return "OUT_OF_MEMORY"
        case OSError():
            return "DISK_FULL" if error.errno in FULL else "STORAGE_UNAVAILABLE"
        case _:
            return None
