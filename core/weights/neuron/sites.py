"""Says at which MLPs of a model there are neurons."""

from __future__ import annotations

from dataclasses import dataclass

from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS
from core.weights.neuron.negatives import Negatives


@dataclass(frozen=True, slots=True)
class Site:
    """An MLP at which there are neurons.

    Attributes:
        mlp: its name.
        negatives: what it reads where nothing may respond.
    """

    mlp: str
    negatives: Negatives


def default_mlps(model: EditableModel) -> tuple[str, str]:
    """Returns the MLPs at which there are neurons: of subjects just above the middle, of facts at four fifths.

    At the lower one the name has been read. At the upper one the model knows what a prompt asks for, and is still to
    find the words of its answer (docs/findings/real-models.md).
    """
    mlps = [mlp for mlp in model.neurons if not mlp.endswith(MARKS)]
    lower = min(round(0.53 * len(mlps)), len(mlps) - 2)
    return mlps[lower], mlps[max(round(0.8 * len(mlps)), lower + 1)]
