"""Events as canonical JSON and back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from core.errors.base import EventUnknown
from core.events import Event
from core.events.codec import SCHEMA, canonical, decode_event, event_type, from_json, key_field, sealed_fields, to_json
from core.events.conversation import ModelReplied, TurnRead, UserSpoke
from core.events.facts import Columns, FactAdded, FactInjected
from core.events.history import FactRetracted
from core.events.sleep import FactAudited
from core.evolve import fold
from core.ids import EditId, FactId
from core.policy import SleepPolicy
from core.state.memory import Memory
from tests.core.samples import ARIA, END, LIFE, added
from tests.core.strategies import events


def through_json(event: Event) -> Event:
    return decode_event(event_type(event), SCHEMA, json.loads(canonical(to_json(event))))


@pytest.mark.parametrize("event", [*LIFE, *END], ids=event_type)
def test_every_event_type_survives_json(event: Event) -> None:
    assert through_json(event) == event


def test_a_log_read_back_folds_to_the_same_state() -> None:
    assert fold(map(through_json, LIFE)) == fold(LIFE)


@given(event=events())
def test_any_event_survives_json_as_the_same_bytes(event: Event) -> None:
    back = through_json(event)

    assert back == event
    assert canonical(to_json(back)) == canonical(to_json(event))


def test_canonical_json_is_pinned() -> None:
    event = FactInjected(fact=FactId("é"), edit=EditId("e"), stage=0, scale=1)

    assert canonical(to_json(event)) == '{"edit":"e","fact":"é","scale":1.0,"stage":0}'


def test_a_whole_number_where_a_float_belongs_is_written_as_a_float() -> None:
    whole = Columns(fact=ARIA.id, first=0, count=1, keys=1, residual=0, achieved=1, learned=True)
    exact = Columns(fact=ARIA.id, first=0, count=1, keys=1, residual=0.0, achieved=1.0, learned=True)

    assert whole == exact
    assert canonical(to_json(whole)) == canonical(to_json(exact))


def test_whole_numbers_among_floats_are_written_as_floats() -> None:
    whole, exact = (SleepPolicy(scales=scales) for scales in ((1, 0), (1.0, 0.0)))

    assert whole == exact
    assert canonical(to_json(whole)) == canonical(to_json(exact))


def test_a_state_in_the_middle_of_a_sleep_survives_json() -> None:
    for version in range(len(LIFE) + 1):
        memory = replace(fold(LIFE[:version]), by_statement={})  # whose keys JSON cannot hold; the store sees to that

        assert from_json(Memory, json.loads(json.dumps(to_json(memory)))) == memory


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_json_cannot_hold_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(to_json(FactInjected(fact=ARIA.id, edit=EditId("e"), stage=0, scale=value)))


@pytest.mark.parametrize(("type_", "schema"), [("FactForgotten", 1), ("FactAdded", SCHEMA + 1)])
def test_an_unknown_event_is_an_error_that_names_it(type_: str, schema: int) -> None:
    with pytest.raises(EventUnknown, match=type_):
        decode_event(type_, schema, to_json(added(ARIA)))


def test_the_words_of_a_fact_are_sealed_and_nothing_else_is() -> None:
    assert sealed_fields(FactAdded) == ("statement", "source", "request_digest")
    assert sealed_fields(FactAudited) == ("probes",)
    assert sealed_fields(FactRetracted) == ("reason", "request_digest")
    of_conversations = {UserSpoke, ModelReplied, TurnRead}
    of_facts = {FactAdded, FactAudited, FactRetracted}
    assert {type(event) for event in LIFE if sealed_fields(event)} == of_facts | of_conversations
    assert {key_field(kind) for kind in of_facts} == {"fact"}
    assert {key_field(kind) for kind in of_conversations} == {"key"}
