"""Columns of edits: how those just written are recorded, and which sites those in force have."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.events.facts import Columns
from core.ids import FactId
from core.state.memory import Memory
from core.weights.memit.spread import Written


def more_sites(memory: Memory, fact: FactId) -> tuple[str, ...]:
    """The sites that the edits in force of `fact` have beside those that the pristine model gets wrong."""
    edits = [memory.edits[edit] for edit in memory.facts[fact].edits]
    return tuple(name for edit in edits for columns in edit.columns if columns.fact == fact for name in columns.more)


def columns_written(ids: Sequence[FactId], written: Written) -> tuple[Columns, ...]:
    keys = torch.bincount(written.key_fact, minlength=len(ids)).tolist()
    return tuple(
        Columns(
            fact=fact,
            first=written.first[index],
            count=written.count[index],
            keys=keys[index],
            residual=written.residual[index],
            absorbed=written.absorbed[index],
            learned=written.learned[index],
            more=written.extra_sites[index],
        )
        for index, fact in enumerate(ids)
    )
