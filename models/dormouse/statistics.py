"""Measures the covariances that ship with dormouse, so that the first fact of a new memory does not wait for them.

python -m models.dormouse.statistics
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.events.memory import BaseModel, MemoryCreated
from core.hyperparameters import DEFAULTS, changed_hyperparameters
from core.ids import Digest
from core.weights.memit.covariance import key_of, measure
from core.weights.memit.packed import pack
from core.weights.model import base_files
from core.weights.model.editable_model import load_model
from core.weights.model.profile import read_profile
from core.weights.model.reference_text import read_reference


def write(folder: Path) -> Path:
    """Writes the statistics of a memory with dormouse's default settings; returns the path, named by their key.

    Rename the file instead if only its name is stale, because the digest of the same files is computed differently now.
    """
    profile = read_profile(folder)
    model = load_model(folder, modules=profile.modules)
    text = (folder / "reference.jsonl").read_bytes()
    created = MemoryCreated(
        base=BaseModel(
            name=str(folder),
            revision="",
            digest=base_files.content_digest(folder),
            dtype="float32",
            quantization="none",
        ),
        modules=model.modules,
        key_width=model.key_width,
        hyperparameters=changed_hyperparameters(DEFAULTS, profile.hyperparameters),
        phrasebook={},
        prefixes=(),
        reference_text=Digest(hashlib.sha256(text).hexdigest()),
        capacity=0.0,
        seed=0,
    )
    statistics = measure(model, read_reference(model, text), created.hyperparameters)
    path = folder / f"statistics-{key_of(created, created.reference_text)[:16]}.packed"
    path.write_bytes(pack(statistics))
    for stale in set(folder.glob("statistics-*.packed")) - {path}:
        stale.unlink()
    return path


if __name__ == "__main__":
    print(write(Path(__file__).parent / "weights"))
