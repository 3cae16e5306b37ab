"""The errors: one tree, as its page draws it, each with a reason of its own."""

import re

from core import errors
from core.errors import base
from core.errors.base import CapacityReached, HypnogramError, InvalidField


def every(kind: type[HypnogramError]) -> list[type[HypnogramError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every(child))]


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    assert errors.__doc__
    drawn: list[tuple[int, str]] = [
        (len(found[1]), found[2]) for found in re.finditer(r"^    ([| `-]*)([A-Z]\w+)", errors.__doc__, re.MULTILINE)
    ]
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for indent, name in drawn:
        while path and path[-1][0] >= indent:
            path.pop()
        if path:
            parents[name] = path[-1][1]
        path.append((indent, name))

    mine = [kind for kind in every(HypnogramError) if kind.__module__ == base.__name__]
    assert parents == {kind.__name__: kind.__bases__[0].__name__ for kind in mine if kind is not HypnogramError}


def test_every_error_has_a_reason_of_its_own() -> None:
    reasons = [kind.reason for kind in every(HypnogramError)]

    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[A-Z][A-Z_]*", reason) for reason in reasons)


def test_metadata_holds_the_values_behind_the_message_as_text() -> None:
    assert CapacityReached(0.75, 0.5, 3).metadata == {"key_occupancy": "0.75", "limit": "0.5", "room": "3"}
    assert InvalidField("facts[2].object", "is empty").metadata["field"] == "facts[2].object"
