"""A draft has every field of a memory, so that a fold forgets none."""

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


def test_what_a_draft_changes_is_in_the_memory_it_freezes_to_and_not_in_the_one_it_copied() -> None:
    names = [field.name for field in fields(Memory)]
    draft, values = Draft(NOTHING), {name: object() for name in names}
    for name, value in values.items():
        current = getattr(draft, name)
        if isinstance(current, dict):
            current[value] = value
        else:
            setattr(draft, name, value)

    frozen = draft.freeze()

    for name, value in values.items():
        assert getattr(frozen, name) in (value, {value: value}), name
        assert getattr(NOTHING, name) not in (value, {value: value}), name


def test_a_draft_declares_a_type_for_every_field_of_a_memory_and_for_nothing_else() -> None:
    declared = {*Draft.__annotations__, "sleep"}  # `sleep` is a property

    assert declared == {field.name for field in fields(Memory)}
