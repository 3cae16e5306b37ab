"""How much of the key space a told fact takes on a base, before anybody has told it one."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.errors.base import Unlearnable
from core.facts import Fact
from core.ids import FactId
from core.weights.memit.edit import keys_in_force
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.model.editable_model import EditableModel
from core.wordings import plain_words

# Nobody that a base has heard of, and objects that are common words: a rare one of many tokens takes more.
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


def keys_per_fact(model: EditableModel, moments: Mapping[str, Tensor]) -> float:
    """Dimensions of the key space that the keys of a fact in plain words take, on average over a few examples.

    Args:
        moments: module -> lambda C [d_in, d_in].

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
    keys, owner = keys_in_force(model, facts, ())
    if not all(some.isfinite().all() for some in keys.values()):
        raise Unlearnable("keys of a fact are not finite in this dtype; use bfloat16 or float32")
    taken = PreservedKeys.none(moments, model.device).joined([fact.id for fact in facts], keys, owner)
    return taken.crowding() * model.key_width / len(facts)
