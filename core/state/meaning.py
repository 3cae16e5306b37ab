"""Finds relations that mean the same in different words, as far as the phrasebook of a memory tells.

`decide` refuses a contradiction only where subject and relation are the same text. What this module finds may be a
contradiction, so it is reported and not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.facts import Fact, Phrasebook
from core.ids import FactId
from core.library import bare
from core.state.memory import Memory
from core.texts import same_words, sentence
from core.wordings import noun_of

_EMPTY = frozenset("a an and are as at be by for from had has have in is it of on the to was were with".split())


class Meanings:
    """Maps each relation to one name for all relations of the same meaning."""

    def __init__(self, phrasebook: Phrasebook) -> None:
        self._names: dict[str, str] = {}
        for name, words in phrasebook.items():
            for prompt in (*words.statements, *words.probe_statements, words.answer):
                said = bare(prompt.partition("{s}")[2])
                if not _EMPTY.issuperset(said.split()):
                    self._names.setdefault(said, bare(name))
        self._names |= {bare(name): bare(name) for name in phrasebook}

    def of(self, relation: str) -> str:
        """Returns the phrasebook's name for `relation` in any of its wordings; otherwise its own normalized text."""
        said = bare(noun_of(relation) or relation)
        return self._names.get(said, said)


def live_facts_about(memory: Memory, subjects: Sequence[str]) -> Mapping[tuple[str, str], list[FactId]]:
    """Returns the live facts about `subjects`, keyed by normalized subject and by meaning of the relation."""
    meanings, wanted = _meanings(memory), set(map(same_words, subjects))
    by_meaning: dict[tuple[str, str], list[FactId]] = {}
    for (subject, relation), fact in memory.by_statement.items():
        if subject in wanted:
            by_meaning.setdefault((subject, meanings.of(relation)), []).append(fact)
    return by_meaning


def may_contradict(memory: Memory, facts: Sequence[Fact]) -> list[tuple[FactId, ...]]:
    """Returns, for each of `facts`, the live facts of the same subject and meaning that have a different object."""
    meanings, live = _meanings(memory), live_facts_about(memory, [fact.subject for fact in facts])
    return [
        tuple(
            candidate
            for candidate in live.get((same_words(fact.subject), meanings.of(fact.relation)), ())
            if candidate != fact.id and sentence(memory.facts[candidate].fact.object) != sentence(fact.object)
        )
        for fact in facts
    ]


def _meanings(memory: Memory) -> Meanings:
    return Meanings(memory.created.phrasebook if memory.created is not None else {})
