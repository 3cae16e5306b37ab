"""A draft holds every field of a memory, so that a fold forgets none."""

from dataclasses import fields
from types import MappingProxyType
from typing import Any

from core.evolve.draft import Draft
from core.state.memory import NOTHING, Memory


def test_a_memory_that_is_thawed_and_frozen_again_has_all_its_values() -> None:
    values: dict[str, Any] = {
        field.name: MappingProxyType({"key": object()})
        if isinstance(getattr(NOTHING, field.name), MappingProxyType)
        else object()
        for field in fields(Memory)
    }
    memory = Memory(**values)

    assert Draft(memory).freeze() == memory
    assert memory.version != NOTHING.version
