"""Converts sleep policies between messages of `hypnogram.v1` and values of `core.policy`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypnogram.v1 import memories_pb2

from core.policy import SleepPolicy, Training


def given(message: memories_pb2.SleepPolicy) -> dict[str, Any]:
    """Returns the fields that a client set, by name; those of `training` in a mapping of their own."""
    values: dict[str, Any] = {descriptor.name: value for descriptor, value in message.ListFields()}
    if "scales" in values:
        values["scales"] = tuple(message.scales)
    if "training" in values:
        values["training"] = {descriptor.name: value for descriptor, value in message.training.ListFields()}
    return values


def policy_message(policy: SleepPolicy) -> memories_pb2.SleepPolicy:
    """Returns a message with every field of `policy`."""
    message = memories_pb2.SleepPolicy(scales=policy.scales)
    for field in fields(SleepPolicy):
        if field.name not in ("scales", "training"):
            setattr(message, field.name, getattr(policy, field.name))
    for field in fields(Training):
        setattr(message.training, field.name, getattr(policy.training, field.name))
    return message
