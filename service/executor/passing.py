"""Causes that pass: no fault of the work, mended by time or by hand. What they hold up is waited with, not given up."""

from __future__ import annotations

import errno
import sqlite3

import torch
from sqlalchemy.exc import SQLAlchemyError

from core.errors.base import ArtifactMissing, DeviceUnavailable, ModelUnavailable, NotReady

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CPU_ALLOCATOR = "can't allocate memory"  # torch has a type for this on devices alone


def passing(error: Exception) -> str | None:
    """The reason, where `error` passes; None where it is a fault of the work itself, or of what is stored."""
    match error:
        case ModelUnavailable() | DeviceUnavailable() | ArtifactMissing() | NotReady():
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
