"""The manual is complete: every call, command, option and setting is in it, and the contract comments on all it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from google.protobuf.descriptor import FileDescriptor
from hypnogram.v1 import chat_pb2, facts_pb2, history_pb2, memories_pb2, sleep_pb2
from typer.core import TyperGroup, TyperOption

from proto import generate
from service.cli.main import app
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PROTOS: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR for module in (memories_pb2, facts_pb2, sleep_pb2, history_pb2, chat_pb2)
)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_call_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "api.md").read_text()
    calls = [
        f"{service.name}.{method.name}"
        for file in PROTOS
        for service in file.services_by_name.values()
        for method in service.methods
    ]

    assert [call for call in calls if f"`{call}`" not in manual] == []


def test_every_setting_is_in_the_manual_with_its_default() -> None:
    manual = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(HYPNOGRAM_\w+)` \| (.*) \|$", manual, flags=re.MULTILINE))

    assert set(rows) == {f"HYPNOGRAM_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description in rows[f"HYPNOGRAM_{name.upper()}"]
        if field.default_factory is None and name != "model_path":
            assert f"Default: `{as_written(field.default)}`." in rows[f"HYPNOGRAM_{name.upper()}"], name


def as_written(default: object) -> str:
    """A default as the manual writes it: zero is a number and not `off`."""
    if isinstance(default, bool):
        return "on" if default else "off"
    return "none" if default is None else str(default)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help_and_is_in_the_manual(path: tuple[str, ...]) -> None:
    manual = (ROOT / "docs" / "cli.md").read_text()
    command = COMMANDS[path]
    section = manual.partition(f"## `hypnogram {' '.join(path)}`")[2].partition("\n## ")[0]

    assert command.help
    assert section
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", ""), parameter.name
        if isinstance(parameter, TyperOption) and parameter.name not in ("help", "address", "memory", "json"):
            assert f"`{parameter.opts[0]}" in section, parameter.opts


def test_every_message_field_and_call_of_the_contract_has_a_comment() -> None:
    """A line that declares something stands below a comment; calls say their errors and show an example."""
    for file in PROTOS:
        lines = (ROOT / "proto" / file.name).read_text().splitlines()
        for before, line in pairwise(lines):
            if re.match(r"\s+((repeated|optional) )?[\w.]+ \w+ = \d+;|\s+[A-Z_]+ = \d+;|(service|enum) ", line):
                assert before.strip().startswith("//"), f"{file.name}: {line.strip()}"
        text = "\n".join(lines)
        for call in re.findall(r"((?:  //.*\n)+)  rpc (\w+)", text):
            assert "Errors:" in call[0], call[1]
            assert "Example:" in call[0], call[1]


def test_the_generated_code_is_what_the_protos_say() -> None:
    assert generate.stale() == []
