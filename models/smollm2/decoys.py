"""Measures the decoys that ship for SmolLM2, so that the first memory on it does not wait for them.

python -m models.smollm2.decoys FOLDER, the folder of the pulled model
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.events.memory import BaseModel
from core.weights.model import base_files
from core.weights.model.editable_model import load_model
from core.weights.model.reference_text import read_reference
from core.weights.neuron.decoys import file_name, measure_decoys
from core.weights.neuron.negatives import STRANGERS, measure_negatives
from core.weights.neuron.sites import Site, default_mlps

SMOLLM2 = Path(__file__).parent


def write(folder: Path) -> Path:
    """Writes the decoys of the model in `folder`, and deletes those of older code; returns the path."""
    model = load_model(folder)
    at_names, at_ends = default_mlps(model)
    block, upper = (model.family.number_of_block(mlp) for mlp in (at_names, at_ends))
    text = read_reference(model, (SMOLLM2 / "reference.jsonl").read_bytes())
    lower = Site(at_names, measure_negatives(model, {block: STRANGERS}, text)[block])
    digest = base_files.content_digest(folder)
    base = BaseModel(name=str(folder), revision="", digest=digest, dtype="float32", quantization="none")
    path = SMOLLM2 / file_name(base)
    path.write_bytes(measure_decoys(model, lower, upper).to_bytes())
    for stale in set(SMOLLM2.glob("decoys-*.packed")) - {path}:
        stale.unlink()
    return path


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
