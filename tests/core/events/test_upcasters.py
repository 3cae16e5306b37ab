"""Old events are read in the words of today, and what is stored stays as it is."""

from __future__ import annotations

import json

from core.events.codec import SCHEMA, canonical, decode_event, event_type, to_json
from core.events.upcasters import STEPS, upcast
from tests.core import samples


def test_every_schema_but_the_first_has_a_step_to_it() -> None:
    assert len(STEPS) == SCHEMA - 1


def test_an_edit_of_schema_1_is_read_with_its_pressure_as_crowding() -> None:
    edit = samples.edit(samples.ARIA, before=samples.CLEAN, crowding=0.25)
    stored = json.loads(canonical(to_json(edit)))
    stored["pressure"] = stored.pop("crowding")
    before = dict(stored)

    assert decode_event(event_type(edit), 1, stored) == edit
    assert stored == before


def test_an_event_of_today_is_read_as_it_is() -> None:
    value = {"pressure": 1}

    assert upcast("EditComputed", SCHEMA, value) is value
