"""Marks strangers, so that detectors of facts learn to tell their subject's mark from the marks of others."""

from __future__ import annotations

from dataclasses import replace

import torch

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

MEASURE = 6  # counts up when `with_decoys` would measure something else
DECOYS = 3
TEXTS = 48  # from which a detector of a decoy is computed: it need not be told from namesakes
SEED = 7


def decoys() -> list[str]:
    """Returns the names of the strangers that are marked."""
    return strangers(DECOYS, SEED)


def with_decoys(
    model: EditableModel, lower: Site, upper: int, negatives: Negatives, progress: Steps = unwatched
) -> Negatives:
    """Returns `negatives` of the MLP of block `upper` with marks of strangers, and with what it reads where these are
    asked the prompts of the library; on the live base weights."""
    block, names = model.family.number_of_block(lower.mlp), decoys()
    beginnings = Beginnings()
    detectors = [_detector(model, block, lower, name, beginnings) for name in names]
    marks = learn_marks(model, block, upper, names, progress).cpu()
    w, b = torch.stack([detector.w for detector in detectors]), torch.tensor([detector.b for detector in detectors])
    rows = rows_of([(*encode_neurons(w, b, marks), 1.0)], model.hidden_width)
    with model.with_weights({marks_at(lower.mlp): rows}):
        asked, held_asked = (ends_about(model, upper, names, held_out=held).half() for held in (False, True))
    return replace(negatives, decoys=rows, asked=asked, held_asked=held_asked, templates_digest=digest_of_templates())


def _detector(model: EditableModel, block: int, lower: Site, name: str, beginnings: Beginnings) -> Detector:
    rows = measure(model, block, lower.negatives.mean, name, beginnings, TEXTS)
    return certified(solve(lower.negatives, rows), lower.negatives, rows)
