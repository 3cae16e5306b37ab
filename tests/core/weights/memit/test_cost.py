"""What a fact is expected to take of the key space, measured before the first fact is added."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from benchmarks.support.tiny import HYPERPARAMETERS
from core.decide import decide
from core.errors.base import CapacityReached
from core.evolve import fold
from core.weights.memit.cost import EXAMPLES, keys_per_fact
from core.weights.memit.covariance import KeyCovariance, measure
from core.weights.model.editable_model import EditableModel
from core.weights.model.profile import read_profile
from core.weights.model.reference_text import ReferenceText
from service.settings import DORMOUSE
from tests.core.samples import CREATED, PREPARED, add, fact


def test_nothing_but_what_edits_must_keep_decides_what_a_fact_takes(tiny: EditableModel) -> None:
    free = {module: 1e-9 * torch.eye(tiny.key_width) for module in tiny.modules}
    rigid = {module: 1e9 * torch.eye(tiny.key_width) for module in tiny.modules}

    assert keys_per_fact(tiny, free) == pytest.approx(tiny.key_width / len(EXAMPLES))
    assert 0.0 < keys_per_fact(tiny, rigid) < 1e-3


def test_statistics_carry_it_and_those_of_old_do_not(tiny: EditableModel) -> None:
    text = ReferenceText(whole=[tiny.raw_ids("The lamp stood near the river.")] * 3)
    measured = measure(tiny, text, HYPERPARAMETERS)

    assert measured.keys_per_fact == keys_per_fact(tiny, measured.moments) > 0
    assert KeyCovariance.from_bytes(measured.to_bytes()).keys_per_fact == measured.keys_per_fact

    old = KeyCovariance(measured.moments, measured.tokens, measured.abstentions, measured.recalls)
    assert KeyCovariance.from_bytes(old.to_bytes()).keys_per_fact == 0.0


@pytest.mark.skipif(not (DORMOUSE / "hypnogram.json").exists(), reason="dormouse is not there")
@pytest.mark.parametrize("count", [20, 30, 31, 90])
def test_dormouse_takes_about_thirty_facts_in_one_request(count: int) -> None:
    said = read_profile(DORMOUSE)
    width = json.loads((DORMOUSE / "config.json").read_text())["intermediate_size"]
    created = replace(CREATED, capacity=said.capacity, keys_per_fact=said.keys_per_fact, key_width=width)
    request = add(*(fact(f"fact-{number}", f"Person {number}", "lives in", "Oslo") for number in range(count)))

    if count <= 30:
        assert len(decide(fold([created, PREPARED]), request)) == count
    else:
        with pytest.raises(CapacityReached, match="about 30 more fit"):
            decide(fold([created, PREPARED]), request)
