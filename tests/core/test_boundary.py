"""The rules stand alone: they import the standard library and each other."""

import ast
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "core"
RULES = sorted(path for path in CORE.rglob("*.py") if "weights" not in path.parts)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_a_rule_imports_the_standard_library_and_other_rules_alone(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)

    foreign = {name for name in imported if name.split(".")[0] not in {"core", *sys.stdlib_module_names}}
    assert not foreign
    assert not any(name.startswith("core.weights") for name in imported)
