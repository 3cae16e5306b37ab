"""Memories as models: `demo`, `demo@12`, `demo@monday`, `demo@2026-11-24T10:00`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hypnogram.v1 import memories_pb2

from core.errors.base import InvalidField
from core.ids import MemoryId
from core.moments import parsed_moment
from service.app.moments import state_at
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Attempt
from service.rpc.messages import requests
from service.web.failures import MODEL_NAME
from store.log.listing import Listed
from store.log.named_versions import NamedVersions

AT = "@"
GET_MEMORY = "/hypnogram.v1.Memories/GetMemory"


def memory_of(model: str) -> MemoryId:
    """Returns the memory that a model is of. Raises InvalidField."""
    return requests.memory_id(model.partition(AT)[0], MODEL_NAME)


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
    memory = requests.memory_id(name, MODEL_NAME)
    if not at:
        parts.states.at(memory, None)
        return None
    if not moment:
        raise InvalidField(MODEL_NAME, "names nothing after the @; give a version, a checkpoint or a time")
    try:
        wanted = parsed_moment(moment)
    except InvalidField as error:
        raise InvalidField(MODEL_NAME, error.problem) from None
    return state_at(parts.store.log, parts.states, memory, wanted).version


def model(parts: Dependencies, name: str) -> dict[str, Any]:
    """Returns OpenAI's description of a model. Blocking. Raises what `version_of` raises."""
    memory, version = memory_of(name), version_of(parts, name)
    if version is None:
        state = parts.states.at(memory, None)
        version = max(state.forked.version if state.forked else 0, state.begun) + 1  # of its first event of its own
    (recorded,) = parts.store.log.read(memory=memory, after_version=version - 1, limit=1)
    return _described(name, recorded.recorded_at)


def models(named: NamedVersions, memories: Sequence[Listed]) -> list[dict[str, Any]]:
    """Returns the models of each memory: itself, its newest version, its checkpoints. Blocking; no log is folded."""
    described = []
    for listed, names in zip(memories, named.names(memories), strict=True):
        memory = listed.memory
        versions = {f"{memory}": names.first, f"{memory}{AT}{listed.version}": listed.version}
        versions |= {f"{memory}{AT}{name}": version for name, version in names.checkpoints.items()}
        described += [_described(name, names.times[version]) for name, version in versions.items()]
    return described


def _described(name: str, recorded_at: str) -> dict[str, Any]:
    created = int(datetime.fromisoformat(recorded_at).timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "hypnogram"}
