"""Old events are read in the words of today, and what is stored stays as it is."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from core.events import Event
from core.events.codec import SCHEMA, canonical, decode_event, event_type, to_json
from core.events.facts import EditComputed
from core.events.memory import MemoryCreated
from core.events.sleep import FactAudited
from core.events.upcasters import PATHWAYS, STEPS, TO_2, TO_3, renamed, upcast
from tests.core import samples

RENAMED = [event for event in samples.LIFE if event_type(event) in TO_3]


def stored(event: Event) -> Any:
    return json.loads(canonical(to_json(event)))


def of_schema_2(event: Event) -> Any:
    """The payload of `event` in the words of schema 2."""
    value = stored(event)
    for path, name in TO_3[event_type(event)].items():
        parent, _, old = path.rpartition(".")
        value = renamed(value, f"{parent}.{name}".lstrip("."), old)
    return value


def test_every_schema_but_the_first_has_a_step_to_it() -> None:
    assert len(STEPS) == SCHEMA - 1


def test_all_renamed_events_are_among_the_samples() -> None:
    assert {event_type(event) for event in RENAMED} == set(TO_3)


@pytest.mark.parametrize("event", RENAMED, ids=event_type)
def test_an_event_of_schema_2_is_read_in_the_words_of_today(event: Event) -> None:
    value = of_schema_2(event)
    before = deepcopy(value)

    assert decode_event(event_type(event), 2, value) == event
    assert value == before != stored(event)


def test_a_renamed_field_is_read_wherever_it_lies() -> None:
    (edit, *_) = [event for event in RENAMED if isinstance(event, EditComputed)]
    value = of_schema_2(edit)

    assert value["columns"][0]["absorbed"] == edit.columns[0].achieved
    assert value["crowding"] == edit.key_occupancy


def test_an_edit_of_schema_1_is_read_with_its_pressure_as_key_occupancy() -> None:
    edit = samples.edit(samples.ARIA, before=samples.CLEAN, key_occupancy=0.25)
    value = of_schema_2(edit)
    ((new, old),) = ((name, path) for path, name in TO_2["EditComputed"].items())

    assert decode_event(event_type(edit), 1, renamed(value, new, old)) == edit


def test_probes_of_schema_2_are_read_with_the_pathways_of_today() -> None:
    audited = next(event for event in samples.LIFE if isinstance(event, FactAudited))
    value = stored(audited)
    probe = value["probes"][0]
    value["probes"] = [probe | {"pathway": pathway} for pathway in ("raw", *PATHWAYS)]

    event = decode_event("FactAudited", 2, value)

    assert isinstance(event, FactAudited)
    assert [result.pathway for result in event.probes] == ["raw", "raw_paraphrase", "chat_paraphrase", "unanswered"]


def test_names_that_a_client_gave_are_not_renamed() -> None:
    words = {"statements": ["{s} is untold"], "questions": ["?"], "answer": ""}
    value = of_schema_2(samples.CREATED) | {"phrasebook": {"ordinary_text": words, "untold": words}}

    event = decode_event("MemoryCreated", 2, value)

    assert isinstance(event, MemoryCreated)
    assert set(event.phrasebook) == {"ordinary_text", "untold"}


def test_an_event_of_today_is_read_as_it_is() -> None:
    value = {"pressure": 1}

    assert upcast("EditComputed", SCHEMA, value) is value
