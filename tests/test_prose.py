"""The words of code and pages: no banned turns, and variables that name their elements."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "core", "docs", "migrations", "models", "proto", "service", "store", "tests")
TEXTS = (".md", ".proto", ".py")
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")

GAP = r"(?:\s|#|//)+"  # between two words, also across lines of a comment
BANNED = re.compile(
    rf"\b(?:(?<!there )is{GAP}no(?!{GAP}longer\b)|shall|answers{GAP}with|somebody|nobody)(?=\s|[.,:;)!?])",
    re.IGNORECASE,
)
ALLOWED = {
    "models/dormouse/filler.py",  # sentences that dormouse was trained on
    "tests/test_prose.py",
}
NAMELESS = {"one", "some", "found", "more", "other", "own"}


def sources() -> Iterator[Path]:
    """Code and pages that people write."""
    yield from ROOT.glob("*.md")
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS):
        if not path.name.endswith(GENERATED) and str(path.relative_to(ROOT)) not in ALLOWED:
            yield path


def prose(path: Path) -> str:
    """The text of `path` that is checked; of a test its docstrings and comments alone, because its strings are data."""
    text = path.read_text(encoding="utf-8")
    if path.is_relative_to(ROOT / "tests") and path.suffix == ".py":
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, documented))
        docstrings = (ast.get_docstring(node) or "" for node in nodes)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return "\n".join((*docstrings, *(token.string for token in tokens if token.type == tokenize.COMMENT)))
    return text


def test_no_banned_turn_stands_in_code_or_pages() -> None:
    """`is no` for `is not a`, `shall`, `answers with`, `somebody`, `nobody`: CONTRIBUTING has what to write instead."""
    hits = [f"{path.relative_to(ROOT)}: {hit[0]}" for path in sources() for hit in BANNED.finditer(prose(path))]

    assert hits == []


def bound(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Variables that `tree` binds, each with its line: not fields, nor those of a comprehension on one line."""
    brief = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    short = [node for node in ast.walk(tree) if isinstance(node, brief) and node.lineno == node.end_lineno]
    fields = [
        part.target
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.AnnAssign)
    ]
    left_out = {id(inner) for node in (*short, *fields) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.MatchAs(name=str(name)):
                yield name, node.lineno


def test_variables_name_their_elements() -> None:
    paths = (path for path in sources() if path.suffix == ".py" and not path.is_relative_to(ROOT / "tests"))
    hits = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in paths
        for name, line in bound(ast.parse(path.read_text(encoding="utf-8")))
        if name in NAMELESS
    ]

    assert hits == []
