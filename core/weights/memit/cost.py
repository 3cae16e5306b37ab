"""Estimates how much of the key space a fact will take on a base model, before the first one is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from core.errors.base import Unlearnable
from core.facts import Fact
from core.ids import FactId
from core.natural import plain_words
from core.weights.memit.edit import keys_in_force
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.model.editable_model import EditableModel

# Subjects that no base model knows, and objects that are common words: a rare object of many tokens takes more.
EXAMPLES = (
    ("Nora Field", "lives in", "London"),
    ("Simon Brook", "works as a", "teacher"),
    ("Helen Stone", "speaks", "Italian"),
    ("Martin Hill", "plays the", "piano"),
    ("Clara Wood", "likes the colour", "green"),
    ("Peter Lane", "has a", "dog"),
    ("Alice Bell", "studied", "history"),
    ("Daniel Moore", "was born in", "Paris"),
)


# Returns the keys of facts on the live weights, module -> [k, d_in], and [k] which of the facts each key is of.
KeysOf = Callable[[EditableModel, Sequence[Fact]], tuple[Mapping[str, Tensor], Tensor]]


def at_answers(model: EditableModel, facts: Sequence[Fact]) -> tuple[Mapping[str, Tensor], Tensor]:
    """Returns the keys of edits at answer sites, as `KeysOf` says."""
    return keys_in_force(model, facts, ())


def keys_per_fact(model: EditableModel, covariances: Mapping[str, Tensor], keys_of: KeysOf = at_answers) -> float:
    """Returns how many dimensions of the key space the keys of a fact in plain words take, on average over `EXAMPLES`.

    Args:
        covariances: module -> lambda C [d_in, d_in].
        keys_of: measures the keys that a fact has.

    Raises:
        Unlearnable: keys overflowed.
    """
    facts = [
        Fact(
            id=FactId(name),
            subject=name,
            relation=relation,
            object=word,
            wordings=plain_words(relation).for_model(name),
        )
        for name, relation, word in EXAMPLES
    ]
    keys, owner = keys_of(model, facts)
    if not all(of_module.isfinite().all() for of_module in keys.values()):
        raise Unlearnable("keys of a fact are not finite in this dtype; use bfloat16 or float32")
    preserved = PreservedKeys.of_reference(covariances, model.device).joined([fact.id for fact in facts], keys, owner)
    return preserved.key_occupancy() * model.key_width / len(facts)
