"""Memories as models: `demo`, `demo@12`, `demo@monday`, `demo@2026-11-24T10:00`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypnogram.v1 import memories_pb2

from core.errors.base import InvalidField, MemoryGone
from core.ids import MemoryId
from core.moments import parsed_moment
from core.state.memory import Memory
from service.app.moments import state_at
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Attempt
from service.rpc.messages import requests

AT = "@"
GET_MEMORY = "/hypnogram.v1.Memories/GetMemory"


def memory_of(model: str) -> MemoryId:
    """Returns the memory that a model is of. Raises InvalidField."""
    return requests.memory_id(model.partition(AT)[0], "model")


def readable(attempt: Attempt, model: str) -> MemoryId:
    """Returns the memory that a model is of, for a caller who may read it. Raises InvalidField and NotPermitted."""
    memory = memory_of(model)
    attempt.allow(GET_MEMORY, memories_pb2.GetMemoryRequest(memory=memory))
    return memory


def version_of(parts: Dependencies, model: str) -> int | None:
    """Returns the version that a model names; None for the newest. Blocking.

    Raises:
        InvalidField: what stands after the @ is not a moment.
        MemoryUnknown, MemoryGone, VersionUnknown, CheckpointUnknown, MomentUnknown: there is no such model.
    """
    name, at, moment = model.partition(AT)
    memory = requests.memory_id(name, "model")
    if not at:
        parts.states.at(memory, None)
        return None
    if not moment:
        raise InvalidField("model", "names nothing after the @; give a version, a checkpoint or a time")
    return state_at(parts.store.log, parts.states, memory, parsed_moment(moment)).version


def model(parts: Dependencies, name: str) -> dict[str, Any]:
    """Returns OpenAI's description of a model. Blocking. Raises what `version_of` raises."""
    memory, version = memory_of(name), version_of(parts, name)
    at = _first(parts.states.at(memory, None)) if version is None else version
    return _described(parts, name, memory, at)


def models(parts: Dependencies, memory: MemoryId) -> list[dict[str, Any]]:
    """Returns the models of a memory: itself, its newest version, its checkpoints; none once it is gone. Blocking."""
    try:
        state = parts.states.at(memory, None)
    except MemoryGone:  # since it was listed
        return []
    named = {f"{memory}": _first(state), f"{memory}{AT}{state.version}": state.version}
    named |= {f"{memory}{AT}{name}": mark.version for name, mark in state.checkpoints.items()}
    return [_described(parts, name, memory, version) for name, version in named.items()]


def _first(state: Memory) -> int:
    """Returns the version of the first event that is the memory's own, not its parent's."""
    return max(state.forked.version if state.forked else 0, state.begun) + 1


def _described(parts: Dependencies, name: str, memory: MemoryId, version: int) -> dict[str, Any]:
    (recorded,) = parts.store.log.read(memory=memory, after_version=version - 1, limit=1)
    created = int(datetime.fromisoformat(recorded.recorded_at).timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "hypnogram"}
