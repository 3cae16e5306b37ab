"""UUID version 7."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import MEMORY_ID, uuid7

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


@given(milliseconds=TIMES, randomness=RANDOM)
def test_the_standard_library_reads_version_variant_and_time(milliseconds: int, randomness: bytes) -> None:
    value = uuid.UUID(uuid7(milliseconds, randomness))

    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == milliseconds


@given(left=TIMES, right=TIMES, one=RANDOM, two=RANDOM)
def test_names_sort_by_time_of_birth(left: int, right: int, one: bytes, two: bytes) -> None:
    if left < right:
        assert uuid7(left, one) < uuid7(right, two)


def test_the_example_of_the_standard() -> None:
    randomness = (0xCC3 << 64 | 0x18C4DC0C0C07398F).to_bytes(10)

    assert uuid7(0x017F22E279B0, randomness) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_randomness_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="9 bytes"):
        uuid7(0, bytes(9))


@pytest.mark.parametrize("name", ["demo", "a", "a-1", "a" * 63])
def test_names_a_memory_may_have(name: str) -> None:
    assert MEMORY_ID.fullmatch(name)


@pytest.mark.parametrize("name", ["", "Demo", "1a", "-a", "a_b", "a/b", "../a", "a\n", "a" * 64])
def test_names_a_memory_may_not_have(name: str) -> None:
    assert not MEMORY_ID.fullmatch(name)
