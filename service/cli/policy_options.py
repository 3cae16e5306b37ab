"""Parses values of a SleepPolicy from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from service.cli.output import UsageProblem

if TYPE_CHECKING:
    from hypnogram.v1 import memories_pb2


def set_policy(
    values: Mapping[str, Any], training: Mapping[str, Any], assignments: Iterable[str], option: str = "--set"
) -> memories_pb2.SleepPolicy:
    """Returns a policy with the values that were given; None is left out.

    Raises:
        UsageProblem: an assignment (name=value) has an unknown name, or a value of the wrong type.
    """
    from hypnogram.v1 import memories_pb2

    policy = memories_pb2.SleepPolicy()
    for message, given in ((policy, values), (policy.training, training)):
        for name, value in given.items():
            if value is not None:
                setattr(message, name, value)
    for assignment in assignments:
        _assign(policy, assignment, option)
    return policy


def assign(message: Any, name: str, value: str) -> bool:
    """Sets a field of `message` from text; returns whether it has a field of that name. Raises ValueError."""
    descriptor = message.DESCRIPTOR.fields_by_name.get(name)
    if descriptor is None or descriptor.message_type:
        return False
    if descriptor.is_repeated:
        getattr(message, name).extend(float(number) for number in value.split(","))
    elif descriptor.cpp_type == descriptor.CPPTYPE_BOOL:
        if value.lower() not in ("true", "on", "false", "off"):
            raise ValueError(value)
        setattr(message, name, value.lower() in ("true", "on"))
    elif descriptor.cpp_type == descriptor.CPPTYPE_INT32:
        setattr(message, name, int(value))
    else:
        setattr(message, name, float(value))
    return True


def _assign(policy: memories_pb2.SleepPolicy, assignment: str, option: str) -> None:
    path, equals, value = assignment.partition("=")
    outer, _, inner = path.partition(".")
    message, name = (policy.training, inner) if outer == "training" and inner else (policy, path)
    try:
        assigned = bool(equals) and assign(message, name, value)
    except ValueError:
        raise UsageProblem(f"{option} {assignment}: {value!r} is not a value for {path}") from None
    if not assigned:
        names = [field for field in policy.DESCRIPTOR.fields_by_name if field != "training"]
        names += [f"training.{field}" for field in policy.training.DESCRIPTOR.fields_by_name]
        raise UsageProblem(f"{option} {assignment}: write name=value; the names are {', '.join(names)}")
