"""Decides whether a fact can leave the weights without a counter-edit."""

from __future__ import annotations

from core.ids import FactId
from core.state.memory import Memory, trained_on


def is_built_on(memory: Memory, fact: FactId) -> bool:
    """Whether a later edit or an adapter in force was computed with the columns of `fact` in the weights.

    If so, dropping the columns would disturb what was computed on top of them. Facts of the same batch do not count,
    because their columns are solved jointly and each preserves the keys of the others. Earlier edits and adapters do
    not count either, because they were computed without these columns.
    """
    if trained_on(memory, fact):
        return True
    edits = memory.facts[fact].edits
    if not edits:
        return False
    since = min(memory.edits[edit].version for edit in edits)
    versions = [adapter.version for adapter in memory.adapters.values()]
    versions += [edit.version for edit in memory.edits.values()]  # only edits in force: the state drops all others
    return any(version > since for version in versions)
