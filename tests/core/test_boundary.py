"""The rules stand alone: they import the standard library and each other."""

import ast
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "core"


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.name)
def test_a_rule_imports_the_standard_library_and_other_rules_alone(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"core.{alias.name}" for alias in node.names] if node.module == "core" else [node.module or ""]
            imported.update(names)

    rules = {f"core.{rule.stem}" for rule in CORE.glob("*.py")}
    assert {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names} <= rules
