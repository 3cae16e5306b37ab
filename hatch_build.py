"""Puts the project's packages under one import name when a wheel is built: `core` is installed as `hypnogram.core`.

A checkout has `core`, `store`, `service`, ... at its top, and so has an editable install. In a wheel such names would
collide with packages of other projects. `[tool.hatch.build.targets.wheel.sources]` moves the files; the hook rewrites
their import statements and the strings that are the path of a module ("service.cli.main", for `python -m`).
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARENT = "hypnogram"
PACKAGES = ("core", "store", "service", "models", "migrations", "benchmarks")
MODULE_PATH = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")
BEGINS_LIKE_ONE = re.compile(rf"({'|'.join(PACKAGES)})\.")

Edit = tuple[int, int, str]  # first byte, end, replacement


class NamespaceHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Replaces every module in a standard wheel by its rewritten text."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="hypnogram-wheel-")
        files = list(self.build_config.builder.recurse_included_files())
        modules = {file.relative_path.removesuffix(".py").replace("/", ".") for file in files}
        for file in files:
            if file.path.endswith(".py"):
                target = Path(self._folder.name, file.distribution_path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(rewritten(Path(file.path).read_bytes(), file.relative_path, modules))
                build_data["force_include"][str(target)] = file.distribution_path

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version == "standard":
            self._folder.cleanup()


def rewritten(source: bytes, name: str, modules: Collection[str]) -> bytes:
    """`source` with the project's packages under `hypnogram`.

    Args:
        name: of the file, for errors.
        modules: dotted names of all modules of the project.

    Raises:
        ValueError: a line names a module in a way that is not rewritten.
    """
    lines = source.splitlines(keepends=True)
    starts = [0, *accumulate(len(line) for line in lines)]  # in bytes, as the columns of ast are
    edits = list[Edit]()
    for node in ast.walk(ast.parse(source, name)):
        try:
            for line, column, length, text in _replacements(node, lines, modules):
                first = starts[line - 1] + column
                edits.append((first, first + length, text))
        except ValueError as error:
            raise ValueError(f"{name}:{getattr(node, 'lineno', 0)}: {error}") from None
    for first, end, text in sorted(edits, reverse=True):
        source = source[:first] + text.encode() + source[end:]
    return source


def _replacements(
    node: ast.AST, lines: Sequence[bytes], modules: Collection[str]
) -> Iterator[tuple[int, int, int, str]]:
    """Line, column and length in bytes of what is replaced for `node`, and its replacement."""
    match node:
        case ast.ImportFrom(module=str(module), level=0) if _ours(module):
            start = lines[node.lineno - 1].index(module.encode(), node.col_offset + len("from "))
            yield node.lineno, start, 0, f"{PARENT}."
        case ast.Import(names=names):
            if any(_ours(alias.name) for alias in names):
                alias, *others = names
                if others or ("." in alias.name and not alias.asname):
                    raise ValueError(f"write `from PACKAGE import MODULE` instead of `import {alias.name}`")
                package, _, module = f"{PARENT}.{alias.name}".rpartition(".")
                renamed = f" as {alias.asname}" if alias.asname else ""
                length = (node.end_col_offset or 0) - node.col_offset
                yield node.lineno, node.col_offset, length, f"from {package} import {module}{renamed}"
        case ast.Constant(value=str(text)) if MODULE_PATH.fullmatch(text) and _names_a_module(text, modules):
            quoted = lines[node.lineno - 1].index(text.encode(), node.col_offset)
            yield node.lineno, quoted, 0, f"{PARENT}."
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if BEGINS_LIKE_ONE.match(text):
            raise ValueError(f"the name of a module is put together from {text!r}; use PACKAGE.__name__")


def _ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def _names_a_module(text: str, modules: Collection[str]) -> bool:
    return text in modules or f"{text}.__init__" in modules
