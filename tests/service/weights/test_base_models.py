"""Base models are found under their recorded names, and dormouse wherever this checkout has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors.base import ModelUnavailable
from core.weights.model.base_files import content_digest
from service.app.store import open_store
from service.settings import DORMOUSE
from service.weights.base_models import BaseModels
from tests.prepared import Place, state_of


@pytest.mark.parametrize("rule", [1, 2])
def test_a_memory_on_dormouse_from_another_machine_finds_it_here(place: Place, bases: BaseModels, rule: int) -> None:
    with open_store(place.settings()) as store:
        created = state_of(store).created
    assert created is not None
    elsewhere = replace(
        created,
        base=replace(
            created.base, name="/another/machine/dormouse", digest=content_digest(DORMOUSE, rule), digest_rule=rule
        ),
    )

    found = BaseModels("cpu").clone(elsewhere)

    assert found.digest() == bases.clone(created).digest()


def test_another_model_that_is_not_there_is_not_mistaken_for_dormouse(place: Place) -> None:
    with open_store(place.settings()) as store:
        created = state_of(store).created
    assert created is not None
    other = replace(created, base=replace(created.base, name="/another/machine/model", digest="0" * 64))  # type: ignore[arg-type]

    with pytest.raises(ModelUnavailable, match="no model folder"):
        BaseModels("cpu").clone(other)
