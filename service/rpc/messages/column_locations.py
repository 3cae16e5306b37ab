"""Locates the columns of a fact: which bytes of which artifacts are its own."""

from __future__ import annotations

from collections.abc import Sequence

from hypnogram.v1 import facts_pb2

from core.errors.base import ArtifactMissing
from core.events.facts import EditComputed
from core.ids import FactId
from core.state.memory import FactState
from service.app.lineage import Link
from store.artifacts import Artifacts
from store.sealing.delta_columns import extents
from store.sealing.keyring import Keyring


def columns(
    links: Sequence[Link], fact: FactId, state: FactState, artifacts: Artifacts, keyring: Keyring
) -> list[facts_pb2.Columns]:
    """Returns the fact's columns in every edit of its lineage, oldest first. Blocking; reads the artifacts.

    Columns in a missing artifact are returned as not readable.

    Raises:
        ArtifactCorrupt, Damaged: an artifact is not as it was written.
    """
    blocks: list[facts_pb2.Columns] = []
    for edit in (link.recorded.event for link in links):
        if not isinstance(edit, EditComputed):
            continue
        try:
            sealed = {(extent.fact, extent.first): extent for extent in extents(artifacts.get(edit.delta))}
            present = True
        except ArtifactMissing:
            sealed, present = {}, False
        for block in edit.columns:
            if block.fact != fact or not block.count:
                continue
            extent = sealed.get((fact, block.first))
            scale = state.scale if edit.edit in state.edits else 0.0
            blocks.append(
                facts_pb2.Columns(
                    artifact=edit.delta,
                    edit=edit.edit,
                    first=block.first,
                    count=block.count,
                    in_force=scale > 0,
                    scale=scale,
                    offset=extent.offset if extent else 0,
                    length=extent.length if extent else 0,
                    readable=present and (extent is None or keyring.key(fact) is not None),
                )
            )
    return blocks
