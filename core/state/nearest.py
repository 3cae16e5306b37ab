"""Finds the dissolved facts that a new edit is most likely to disturb.

Only adapters carry a dissolved fact. Its keys no longer constrain edits, so an edit for similar facts must preserve
them itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.facts import Fact
from core.state.memory import Memory, Status
from core.texts import same_words


def nearest_dissolved(memory: Memory, facts: Sequence[Fact], most: int) -> list[Fact]:
    """Returns up to `most` dissolved facts that an edit for `facts` must preserve, nearest first.

    Facts about the same subject come first, then facts of the same relation, because similar words have similar keys.
    Retracted facts and `facts` themselves are left out.
    """
    ids = {fact.id for fact in facts}
    subjects = {same_words(fact.subject) for fact in facts}
    relations = {same_words(fact.relation) for fact in facts}
    dissolved = [
        state.fact
        for fact, state in memory.facts.items()
        if state.status is Status.DISSOLVED and not state.retracted and fact not in ids
    ]

    def distance(fact: Fact) -> tuple[bool, bool]:
        return same_words(fact.subject) not in subjects, same_words(fact.relation) not in relations

    return sorted(dissolved, key=distance)[:most]
