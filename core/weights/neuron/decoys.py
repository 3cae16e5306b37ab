"""Marks strangers, so that detectors of facts learn to tell their subject's mark from the marks of others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged
from core.events.memory import BaseModel
from core.weights.deltas.neurons import encode_neurons, rows_of
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import marks_at
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.detectors import Detector, certified, measure, solve
from core.weights.neuron.marks import learn_marks
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import digest_of_templates, ends_about
from core.weights.neuron.sites import Site
from core.weights.reference.words import strangers

MEASURE = 6  # counts up when `measure_decoys` would measure something else
DECOYS = 3
TEXTS = 48  # from which a detector of a decoy is computed: it need not be told from namesakes
SEED = 7


def decoys() -> list[str]:
    """Returns the names of the strangers that are marked."""
    return strangers(DECOYS, SEED)


@dataclass(frozen=True, slots=True)
class Decoys:
    """Strangers that are marked, and what the upper MLP reads where they are asked the prompts of the library.

    Attributes:
        marks: [n, 2 d + 1] float32 neurons at the lower MLP.
        asked, held_asked: [templates, d] float16 at the ends of prompts (`ends_about`).
    """

    marks: Tensor
    asked: Tensor
    held_asked: Tensor

    def to_bytes(self) -> bytes:
        """Returns a safetensors file."""
        return save({part.name: getattr(self, part.name).contiguous() for part in fields(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Decoys:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            return cls(**load(data))
        except Exception as error:
            raise Damaged(f"what was measured of decoys cannot be read: {error}") from error

    def beside(self, negatives: Negatives) -> Negatives:
        """Returns what is measured of the upper MLP in text, with the decoys."""
        return replace(
            negatives,
            decoys=self.marks,
            asked=self.asked,
            held_asked=self.held_asked,
            templates_digest=digest_of_templates(),
        )


def file_name(base: BaseModel) -> str:
    """Returns the name of the file in which decoys of a base model ship.

    They hold for the model alone, and not for what detectors of subjects were computed against on some machine.
    """
    inputs = [MEASURE, digest_of_templates(), base.digest, base.dtype, base.quantization]
    key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    return f"decoys-{key[:16]}.packed"


def measure_decoys(model: EditableModel, lower: Site, upper: int, progress: Steps = unwatched) -> Decoys:
    """Marks strangers at the lower MLP, and measures the MLP of block `upper`; on the live base weights."""
    block, names = model.family.number_of_block(lower.mlp), decoys()
    beginnings = Beginnings()
    detectors = [_detector(model, block, lower, name, beginnings) for name in names]
    marks = learn_marks(model, block, upper, names, progress).cpu()
    w, b = torch.stack([detector.w for detector in detectors]), torch.tensor([detector.b for detector in detectors])
    rows = rows_of([(*encode_neurons(w, b, marks), 1.0)], model.hidden_width)
    with model.with_weights({marks_at(lower.mlp): rows}):
        asked, held_asked = (ends_about(model, upper, names, held_out=held).half() for held in (False, True))
    return Decoys(rows, asked, held_asked)


def _detector(model: EditableModel, block: int, lower: Site, name: str, beginnings: Beginnings) -> Detector:
    rows = measure(model, block, lower.negatives.mean, name, beginnings, TEXTS)
    return certified(solve(lower.negatives, rows), lower.negatives, rows)
