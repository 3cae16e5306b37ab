"""Upcasters: lift payloads of old schemas to the current one on every read. What is stored never changes.

Each upcaster lifts a payload from one schema to the next, and a payload goes through all from its own schema on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Payload = dict[str, Any]
Renames = Mapping[str, Mapping[str, str]]  # event type -> path of a field -> the field's new name

OCCUPANCY = {"crowding": "key_occupancy"}
REFERENCE = {"ordinary_text": "reference_text"}
TO_2: Renames = {"EditComputed": {"pressure": "crowding"}}
TO_3: Renames = {
    "MemoryCreated": REFERENCE
    | {
        "hyperparameters.ordinary_weight": "reference_weight",
        "hyperparameters.retouches": "refinements",
        "hyperparameters.untold": "unanswered",
        "sleep.mendings": "repairs",
    },
    "StatisticsPrepared": REFERENCE,
    "EditComputed": OCCUPANCY
    | {"columns.absorbed": "achieved", "columns.more": "extra_sites", "unchanged.untold": "unanswered"},
    "FactWithdrawn": OCCUPANCY,
    "FactsRescaled": OCCUPANCY,
    "SleepStarted": {"policy.mendings": "repairs"},
    "ControlsMeasured": {"untold": "unanswered"},
}
PATHWAYS = {"raw-unseen": "raw_paraphrase", "chat-unseen": "chat_paraphrase", "untold": "unanswered"}


def renamed(value: Any, path: str, name: str) -> Any:
    """Returns the JSON `value` in which the field at the dotted `path`, if there is one, is called `name`.

    A path leads through lists into each of their elements. `value` stays as it is.
    """
    if isinstance(value, list):
        return [renamed(element, path, name) for element in value]
    field, _, rest = path.partition(".")
    if not isinstance(value, dict) or field not in value:
        return value
    if rest:
        return value | {field: renamed(value[field], rest, name)}
    return {name if key == field else key: element for key, element in value.items()}


def _names(renames: Renames) -> Callable[[str, Payload], Payload]:
    """Returns the upcaster that renames fields."""

    def step(type_: str, value: Payload) -> Payload:
        for path, name in renames.get(type_, {}).items():
            value = renamed(value, path, name)
        return value

    return step


def _names_and_pathways(type_: str, value: Payload) -> Payload:
    """Schema 2 to 3: renames fields, and the pathways of probes, to the words of the literature."""
    if type_ == "FactAudited":
        probes = [probe | {"pathway": PATHWAYS.get(probe["pathway"], probe["pathway"])} for probe in value["probes"]]
        return value | {"probes": probes}
    return _names(TO_3)(type_, value)


STEPS: tuple[Callable[[str, Payload], Payload], ...] = (_names(TO_2), _names_and_pathways)


def upcast(type_: str, schema: int, value: Payload) -> Payload:
    """Returns `value`, the payload of an event of `type_` stored at `schema`, at the current schema."""
    for step in STEPS[schema - 1 :]:
        value = step(type_, value)
    return value
