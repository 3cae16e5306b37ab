"""Facts that adapters alone carry: no edit in force is for them, so no key of theirs is protected by itself."""

from __future__ import annotations

from collections.abc import Sequence

from core.facts import Fact
from core.state.memory import Memory, Status
from core.texts import same_words


def nearest_dissolved(memory: Memory, facts: Sequence[Fact], most: int) -> list[Fact]:
    """At most `most` dissolved facts that an edit for `facts` must leave alone, the likeliest to be moved first.

    Those about a subject of `facts` come first, then those of a relation of theirs: alike in words, they are alike in
    keys. Those of `facts` themselves and those that were taken back are none of them.
    """
    ids = {fact.id for fact in facts}
    subjects = {same_words(fact.subject) for fact in facts}
    relations = {same_words(fact.relation) for fact in facts}
    dissolved = [
        state.fact
        for one, state in memory.facts.items()
        if state.status is Status.DISSOLVED and not state.retracted and one not in ids
    ]

    def far(fact: Fact) -> tuple[bool, bool]:
        return same_words(fact.subject) not in subjects, same_words(fact.relation) not in relations

    return sorted(dissolved, key=far)[:most]
