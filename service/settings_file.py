"""Reads settings from a TOML file, and says in which line one is wrong."""

from __future__ import annotations

import json
import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from core.errors.base import ConfigurationInvalid

NAMED_BY = "HYPNOGRAM_CONFIG"
NOT_IN_A_FILE = ("config",)
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}


def config_home() -> Path:
    """Returns the folder of this user's configuration (XDG base directories)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hypnogram"


def file_to_read() -> Path | None:
    """Returns the file that the environment names, else the user's own where there is one."""
    if named := os.environ.get(NAMED_BY):
        return Path(named)
    usual = config_home() / "hypnogram.toml"
    return usual if usual.exists() else None


def read_settings(file: Path, fields: dict[str, FieldInfo]) -> dict[str, Any]:
    """Returns the settings in `file` by name.

    Raises:
        ConfigurationInvalid: the file cannot be read, or has a key that is not a setting or a value of another type.
    """
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationInvalid(file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationInvalid(file, "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else len(text.splitlines())
        raise ConfigurationInvalid(file, f"is not TOML: {error}", line=line) from None
    return {key: _checked(file, text, key, value, fields) for key, value in values.items()}


def _checked(file: Path, text: str, key: str, value: object, fields: dict[str, FieldInfo]) -> object:
    """Returns `value` if the setting `key` may have it; TOML has types, so that none is converted."""

    def wrong(problem: str) -> ConfigurationInvalid:
        return ConfigurationInvalid(file, problem, key, _line_of(key, text))

    if key not in fields:
        alike = get_close_matches(key.lower().removeprefix("hypnogram_"), fields, 1)
        raise wrong("is not a setting" + (f"; did you mean {alike[0]}?" if alike else "; docs/settings.md lists them"))
    if key in NOT_IN_A_FILE:
        raise wrong(f"cannot be set in a file; set {NAMED_BY}")
    field = fields[key]
    kind: Any = field.annotation if field.annotation in KINDS else str
    if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
        raise wrong(f"has to be {KINDS[kind]}, not {_kind_of(value)}")
    if isinstance(value, bool) and kind is not bool:
        raise wrong(f"has to be {KINDS[kind]}, not {_kind_of(value)}")
    try:
        _adapter(field).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise wrong(f"{said[0].lower()}{said[1:]}, not {json.dumps(value)}") from None
    return value


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotated: Any = Annotated
    return TypeAdapter(annotated[field.annotation, field.description, *field.metadata])


def _kind_of(value: object) -> str:
    """Returns the kind of a value, without the value, which may be a secret."""
    named = next((words for kind, words in KINDS.items() if isinstance(value, kind)), "")
    return named or ("a table" if isinstance(value, dict) else "an array" if isinstance(value, list) else "a time")


def _line_of(key: str, text: str) -> int:
    """Returns the line that gives `key` a value, or begins its table; 0 where none is found."""
    given = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[].=]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if given.match(line)), 0)
