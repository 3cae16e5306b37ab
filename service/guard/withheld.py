"""What callers are not shown: folders and buckets of the server, and names of memories that they may not read.

Whoever may create memories names folders, and so is shown them and buckets; all others are shown the last part of a
path, and nothing of where a bucket is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

from core.errors.base import ArtifactsUnreachable, ModelUnavailable
from core.events import Recorded
from core.events.history import MemoryForked, MemoryRebased
from core.events.memory import MemoryCreated
from core.ids import MemoryId
from service.guard.rights import Caller, Right

E = TypeVar("E", bound=BaseException | None)

PATH = re.compile(r"(?<=')/[^'\n]+(?=')|(?<![\w:/.'])/[^\s'\",;:()]+")  # in quotes, or up to a space

URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"]*[^\s'\"),;:.]", re.IGNORECASE)
BUCKET = re.compile(r"\bs3[a-z]*://", re.IGNORECASE)
WITHHELD = "a withheld URL"


def without_folders(text: str) -> str:
    """Returns `text` with the last part alone of each path in it."""
    return PATH.sub(lambda path: PurePosixPath(path[0]).name, text)


def without_places(text: str) -> str:
    """Returns `text` without folders and, where it names a bucket, without the URLs of that and of its storage."""
    return without_folders(URL.sub(WITHHELD, text) if BUCKET.search(text) else text)


def shown_text(caller: Caller, text: str) -> str:
    """Returns what the caller is shown of a text that may name folders or buckets."""
    return text if caller.may_create else without_places(text)


def shown_model(caller: Caller, name: str) -> str:
    """Returns what the caller is shown of the name of a base model, which is an absolute path or an id of the hub."""
    return PurePosixPath(name).name if name.startswith("/") and not caller.may_create else name


def shown_memory(caller: Caller, memory: MemoryId) -> MemoryId:
    """Returns the name of a memory, empty where the caller may not read it."""
    return memory if caller.may(Right.READ, memory) else MemoryId("")


def shown_event(caller: Caller, recorded: Recorded) -> Recorded:
    """Returns what the caller is shown of an event; its hash is that of what was recorded."""
    event = recorded.event
    match event:
        case MemoryCreated():
            event = replace(event, base=replace(event.base, name=shown_model(caller, event.base.name)))
        case MemoryRebased():
            event = replace(event, name=shown_model(caller, event.name))
        case MemoryForked():
            event = replace(event, parent=shown_memory(caller, event.parent))
        case _:
            pass
    return replace(recorded, event=event, memory=shown_memory(caller, recorded.memory))


def error_without_places(error: E) -> E | ModelUnavailable | ArtifactsUnreachable:
    """Returns the error, without folders and buckets where it says why a base model or artifacts cannot be had."""
    match error:
        case ModelUnavailable():
            named = {name: without_folders(value) for name, value in error.metadata.items()}
            return ModelUnavailable(without_folders(str(error)), **named)
        case ArtifactsUnreachable():
            return ArtifactsUnreachable(WITHHELD, URL.sub(WITHHELD, error.why))
        case _:
            return error
