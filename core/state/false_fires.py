"""Adds up how often the neurons of a memory respond where they must not, by their certificates."""

from __future__ import annotations

from collections.abc import Collection

from core.events.facts import Columns
from core.ids import FactId
from core.state.memory import Memory


def false_fires(memory: Memory, without: Collection[FactId] = ()) -> float:
    """Returns how often neurons in force respond in other text, in a million tokens, by their certificates.

    A fact counts once, because all of its neurons have one detector: at the scale of its edit, or whole once an adapter
    has a column of it. Those in `without` do not count.
    """
    fires = dict[FactId, float]()
    for edit in memory.edits.values():
        for columns in edit.columns:
            if columns.false_fires and edit.id in memory.facts[columns.fact].edits:
                fires[columns.fact] = columns.false_fires * memory.facts[columns.fact].scale
    for adapter in memory.adapters.values():
        for columns in adapter.columns:
            if columns.false_fires and memory.facts[columns.fact].in_weights:
                fires[columns.fact] = columns.false_fires
    return sum(rate for fact, rate in fires.items() if fact not in without)


def first_columns(memory: Memory, fact: FactId) -> Columns | None:
    """Returns the first columns recorded for a fact, of an edit in force or else of an adapter; None without any."""
    groups = [edit.columns for edit in memory.edits.values() if edit.id in memory.facts[fact].edits]
    groups += [adapter.columns for adapter in memory.adapters.values()]
    return next((columns for group in groups for columns in group if columns.fact == fact), None)
