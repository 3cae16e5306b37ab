"""Marks strangers, so that detectors of facts learn to tell their subject's mark from the marks of others."""

from __future__ import annotations

import torch
from torch import Tensor

from core.weights.deltas.neurons import encode_neurons, rows_of
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.detectors import Detector, certified, measure, solve
from core.weights.neuron.marks import learn_marks
from core.weights.neuron.sites import Site
from core.weights.reference.words import strangers

MEASURE = 1  # counts up when `mark_decoys` would learn other marks from the same inputs
DECOYS = 6
TEXTS = 48  # from which a detector of a decoy is computed: it need not be told from namesakes
SEED = 7


def decoys() -> list[str]:
    """Returns the names of the strangers that are marked."""
    return strangers(DECOYS, SEED)


def mark_decoys(model: EditableModel, lower: Site, upper: int, progress: Steps = unwatched) -> Tensor:
    """Returns [DECOYS, 2 d + 1] the marks of strangers, as rows of neurons, learned on the live base weights."""
    block, names = model.family.number_of_block(lower.mlp), decoys()
    detectors = [_detector(model, block, lower, name) for name in names]
    marks = learn_marks(model, block, upper, names, progress).cpu()
    w, b = torch.stack([detector.w for detector in detectors]), torch.tensor([detector.b for detector in detectors])
    return rows_of([(*encode_neurons(w, b, marks), 1.0)], model.hidden_width)


def _detector(model: EditableModel, block: int, lower: Site, name: str) -> Detector:
    rows = measure(model, block, lower.negatives.mean, name, TEXTS)
    return certified(solve(lower.negatives, rows), lower.negatives, rows)
