"""Creating a memory."""

from dataclasses import replace

import pytest

from core.errors import MemoryExists
from tests.core.samples import CREATE, CREATED, when


def test_a_memory_is_created_once() -> None:
    assert when(command=CREATE) == (CREATED,)


def test_creating_it_again_with_the_same_settings_changes_nothing() -> None:
    assert when(CREATED, command=CREATE) == ()


def test_creating_it_again_with_other_settings_is_refused_and_names_the_memory() -> None:
    other = replace(CREATE, created=replace(CREATED, seed=2))

    with pytest.raises(MemoryExists, match="'demo'") as refusal:
        when(CREATED, command=other)

    assert refusal.value.metadata == {"memory": "demo"}
