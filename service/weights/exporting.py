"""Writes the weights of a memory, as they were at a version, into a folder that stock tools load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.ids import MemoryId
from core.state.memory import Memory
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from core.weights.export import Origin, export_adapter, export_merged
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_verified, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a folder holds.

    Attributes:
        rank: of the adapter; None of a merged model.
        size: of all files, in bytes.
    """

    origin: Origin
    rank: int | None
    size: int


def export_weights(
    kind: str,
    folder: Path,
    memory: MemoryId,
    state: Memory,
    bases: BaseModels,
    deltas: DeltaStore,
    each: Callable[[str], None] = lambda module: None,
) -> Exported:
    """Writes the weights of `state`, which is one of `memory`, into the new folder `folder`.

    Args:
        kind: `adapter` or `merged`.
        bases: gets the base model without quantization, which alone can be merged; its edited modules are the same.
        each: called with the name of each module before it is built; may raise, to give up.

    Raises:
        ExportExists: `folder` is there already.
        NotExportable: the version has memory neurons, which this kind cannot hold.
        ModelUnavailable: the base model cannot be loaded.
        WordsErased: the weights need columns of a fact that was erased.
        DigestMismatch, ArtifactMissing, ArtifactCorrupt: the weights are not the recorded ones.
    """
    created, wanted = state.created, plan(state)
    assert created is not None
    model = bases.clone(replace(created, base=replace(created.base, quantization="none")))
    weights = build_verified(model, deltas, state, each)
    origin = Origin(
        memory=memory,
        version=state.version,
        base=created.base,
        plan=wanted.digest,
        weights=weights_digest(weights),
    )
    rank = None
    if kind == "adapter":
        rank = export_adapter(folder, model, columns_of(deltas, wanted), origin)
    else:
        export_merged(folder, model, weights, origin)
    return Exported(origin=origin, rank=rank, size=sum(file.stat().st_size for file in folder.iterdir()))
