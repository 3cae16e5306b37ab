"""Finds relations that mean the same in different words, as far as the phrasebook of a memory and the library tell.

`decide` refuses a contradiction only where subject and relation are the same text. What this module finds may be a
contradiction, so it is reported and not refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.facts import Fact, Phrasebook
from core.ids import FactId
from core.library import bare, entry_of
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
        self._many = {bare(name) for name, words in phrasebook.items() if words.many}

    def of(self, relation: str, object_: str = "") -> str:
        """Returns one name for all relations that mean the same; the normalized text of a relation that is not known.

        Relations of the phrasebook have its names, all others those of the library.
        """
        said = bare(noun_of(relation) or relation)
        if said in self._names:
            return self._names[said]
        entry = entry_of(relation, object_)
        if entry is None:
            return said
        synonyms = (bare(name) for name, kind in entry.names if not kind)
        return next((self._names[name] for name in synonyms if name in self._names), entry.meaning)

    def knows(self, fact: Fact) -> bool:
        """Whether the phrasebook or the library has the relation of `fact`."""
        said = bare(noun_of(fact.relation) or fact.relation)
        return said in self._names or entry_of(fact.relation, fact.each[0]) is not None

    def has_one(self, fact: Fact) -> bool:
        """Whether a second object beside that of `fact` may contradict it: not where a subject may have several."""
        said = bare(noun_of(fact.relation) or fact.relation)
        entry = entry_of(fact.relation, fact.each[0])
        return self._names.get(said, said) not in self._many and (entry is None or not entry.many)


def live_facts_about(memory: Memory, subjects: Sequence[str]) -> Mapping[tuple[str, str], list[FactId]]:
    """Returns the live facts about `subjects`, keyed by normalized subject and by meaning of the relation."""
    meanings, wanted = _meanings(memory), set(map(same_words, subjects))
    by_meaning: dict[tuple[str, str], list[FactId]] = {}
    for id_, state in memory.facts.items():  # `by_statement` has one of "plays chess" and "plays the cello"
        if not state.retracted and (subject := same_words(state.fact.subject)) in wanted:
            meaning = meanings.of(state.fact.relation, state.fact.each[0])
            by_meaning.setdefault((subject, meaning), []).append(id_)
    return by_meaning


def may_contradict(memory: Memory, facts: Sequence[Fact]) -> list[tuple[FactId, ...]]:
    """Returns, for each of `facts`, the live facts of the same subject and meaning that have a different object.

    There are none where a subject may have several objects, as of "likes".
    """
    meanings, live = _meanings(memory), live_facts_about(memory, [fact.subject for fact in facts])

    def alike(fact: Fact) -> list[FactId]:
        return live.get((same_words(fact.subject), meanings.of(fact.relation, fact.each[0])), [])

    return [
        tuple(
            candidate
            for candidate in (alike(fact) if meanings.has_one(fact) else ())
            if candidate != fact.id and sentence(memory.facts[candidate].fact.object) != sentence(fact.object)
        )
        for fact in facts
    ]


def _meanings(memory: Memory) -> Meanings:
    return Meanings(memory.created.phrasebook if memory.created is not None else {})
