"""How memories sleep, between messages of `hypnogram.v1` and the values of `core.policy`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypnogram.v1 import memories_pb2

from core.policy import SleepPolicy, Training


def given(message: memories_pb2.SleepPolicy) -> dict[str, Any]:
    """What a client set, by name; values of its training in a mapping of their own."""
    values: dict[str, Any] = {descriptor.name: value for descriptor, value in message.ListFields()}
    if "scales" in values:
        values["scales"] = tuple(message.scales)
    if "training" in values:
        values["training"] = {descriptor.name: value for descriptor, value in message.training.ListFields()}
    return values


def policy_message(policy: SleepPolicy) -> memories_pb2.SleepPolicy:
    """Every value of `policy`."""
    message = memories_pb2.SleepPolicy(scales=policy.scales)
    for one in fields(SleepPolicy):
        if one.name not in ("scales", "training"):
            setattr(message, one.name, getattr(policy, one.name))
    for one in fields(Training):
        setattr(message.training, one.name, getattr(policy.training, one.name))
    return message
