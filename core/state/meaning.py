"""Relations that say the same in other words, as far as a memory's phrasebook and the words themselves tell.

Contradictions are found by the text of subject and relation alone; what is found here may be one, and is named as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.facts import Fact, Phrasebook
from core.ids import FactId
from core.state.memory import Memory
from core.texts import same_words, sentence
from core.wordings import bare, noun_of

_EMPTY = frozenset("a an and are as at be by for from had has have in is it of on the to was were with".split())


class Meanings:
    """What relations mean: one name for all that say the same."""

    def __init__(self, phrasebook: Phrasebook) -> None:
        self._names: dict[str, str] = {}
        for name, words in phrasebook.items():
            for prompt in (*words.statements, *words.probe_statements, words.answer):
                said = bare(prompt.partition("{s}")[2])
                if not _EMPTY.issuperset(said.split()):
                    self._names.setdefault(said, bare(name))
        self._names |= {bare(name): bare(name) for name in phrasebook}

    def of(self, relation: str) -> str:
        """The phrasebook's name for `relation`, in any wording of it, or else its bare text."""
        said = bare(noun_of(relation) or relation)
        return self._names.get(said, said)


def told_about(memory: Memory, subjects: Sequence[str]) -> Mapping[tuple[str, str], list[FactId]]:
    """The live facts about `subjects`, by subject as it is compared and by meaning."""
    meanings, wanted = _meanings(memory), set(map(same_words, subjects))
    told: dict[tuple[str, str], list[FactId]] = {}
    for (subject, relation), fact in memory.by_statement.items():
        if subject in wanted:
            told.setdefault((subject, meanings.of(relation)), []).append(fact)
    return told


def may_contradict(memory: Memory, facts: Sequence[Fact]) -> list[tuple[FactId, ...]]:
    """For each of `facts`, live facts about its subject that give a relation of its meaning another object."""
    meanings, told = _meanings(memory), told_about(memory, [fact.subject for fact in facts])
    return [
        tuple(
            other
            for other in told.get((same_words(fact.subject), meanings.of(fact.relation)), ())
            if other != fact.id and sentence(memory.facts[other].fact.object) != sentence(fact.object)
        )
        for fact in facts
    ]


def _meanings(memory: Memory) -> Meanings:
    return Meanings(memory.created.phrasebook if memory.created is not None else {})
