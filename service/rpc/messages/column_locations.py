"""Where a fact is: which bytes of which artifacts are its own."""

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
    """The fact's columns in every edit of its lineage, oldest first. Blocking; reads their artifacts.

    Those of an artifact that is missing cannot be read, and that is what is said of them.

    Raises:
        ArtifactCorrupt, Damaged: an artifact is not as it was written.
    """
    found: list[facts_pb2.Columns] = []
    for edit in (link.recorded.event for link in links):
        if not isinstance(edit, EditComputed):
            continue
        try:
            sealed = {(one.fact, one.first): one for one in extents(artifacts.get(edit.delta))}
            there = True
        except ArtifactMissing:
            sealed, there = {}, False
        for own in edit.columns:
            if own.fact != fact or not own.count:
                continue
            extent = sealed.get((fact, own.first))
            scale = state.scale if edit.edit in state.edits else 0.0
            found.append(
                facts_pb2.Columns(
                    artifact=edit.delta,
                    edit=edit.edit,
                    first=own.first,
                    count=own.count,
                    in_force=scale > 0,
                    scale=scale,
                    offset=extent.offset if extent else 0,
                    length=extent.length if extent else 0,
                    readable=there and (extent is None or keyring.key(fact) is not None),
                )
            )
    return found
