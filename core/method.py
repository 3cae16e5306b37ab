"""Names the methods by which facts are written into the weights."""

from __future__ import annotations

from enum import StrEnum

from core.errors.base import InvalidField


class Method(StrEnum):
    """How a memory writes facts; it is chosen once, when the memory is created."""

    NEURON = "neuron"  # a neuron for each fact, which responds at its subject's name and nowhere else
    MEMIT = "memit"  # linear MEMIT at the subject's name, as in the literature; to compare with
    ANSWER_SITE = "answer_site"  # MEMIT at the tokens before answers; fits dormouse, harms deep models


def checked_method(value: object) -> Method:
    """Returns the method of that name. Raises InvalidField if there is none."""
    try:
        return Method(str(value))
    except ValueError:
        raise InvalidField("method", f"is {value!r}; it must be {', '.join(Method)}") from None
