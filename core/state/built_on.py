"""Whether weights in force were computed while a fact's columns were among them, and would miss them."""

from __future__ import annotations

from core.ids import FactId
from core.state.memory import Memory


def is_built_on(memory: Memory, fact: FactId) -> bool:
    """Whether a later edit or an adapter in force was computed with the columns of `fact` in the weights.

    Facts of one batch do not count: their columns are solved jointly, each with the keys of the others held still. Nor
    does what was there before: it never saw the columns, and goes on without them as it did.
    """
    if any(fact in adapter.facts for adapter in memory.adapters.values()):
        return True
    own = memory.facts[fact].edits
    if not own:
        return False
    since = min(memory.edits[edit].version for edit in own)
    later = [adapter.version for adapter in memory.adapters.values()]
    later += [edit.version for edit in memory.edits.values()]  # those out of force are forgotten
    return any(version > since for version in later)
