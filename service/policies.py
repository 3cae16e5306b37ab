"""How memories sleep, between messages of `hypnogram.v1` and the values of `core.policy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from hypnogram.v1 import memories_pb2

from core.decide_sleep import check_policy
from core.errors import InvalidField
from core.policy import SleepPolicy, Training

Given = Mapping[str, Any]  # values of a policy by name, those of its training in a mapping of their own


def given(message: memories_pb2.SleepPolicy) -> dict[str, Any]:
    """What a client set, by name."""
    values: dict[str, Any] = {descriptor.name: value for descriptor, value in message.ListFields()}
    if "scales" in values:
        values["scales"] = tuple(message.scales)
    if "training" in values:
        values["training"] = {descriptor.name: value for descriptor, value in message.training.ListFields()}
    return values


def overridden(policy: SleepPolicy, values: Given) -> SleepPolicy:
    """`policy` with the values that were given."""
    training = replace(policy.training, **values.get("training", {}))
    return replace(policy, **{**values, "training": training})


def check(policy: SleepPolicy, field: str) -> None:
    """Raises InvalidField for the first value of `policy` that makes no sense; `field` is where it was given."""
    try:
        check_policy(policy)
    except InvalidField as error:
        raise InvalidField(f"{field}{error.field.removeprefix('policy')}", error.problem) from None


def policy_message(policy: SleepPolicy) -> memories_pb2.SleepPolicy:
    """Every value of `policy`."""
    message = memories_pb2.SleepPolicy(scales=policy.scales)
    for one in fields(SleepPolicy):
        if one.name not in ("scales", "training"):
            setattr(message, one.name, getattr(policy, one.name))
    for one in fields(Training):
        setattr(message.training, one.name, getattr(policy.training, one.name))
    return message
