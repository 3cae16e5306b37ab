"""`benchmarks/gpu.py` as it is run on a machine where this project is not installed: small, and on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"
INSTALLED = ("sqlalchemy", "grpc", "typer", "structlog", "pydantic", "cryptography", "peft", "alembic")
REFUSING = f"""
import runpy, sys
for name in {INSTALLED!r}:
    sys.modules[name] = None  # importing it fails
sys.path.insert(0, {str(ROOT)!r})
from core.weights.neuron import decoys, negatives
decoys.DECOYS, negatives.STRANGERS = 1, 60  # to spare half a minute
sys.path.pop(0)  # because the script has to find its modules by itself
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def measured(state: Path) -> str:
    given = [
        "--shape",
        "tiny",
        "--device",
        "cpu",
        "--kinds",
        "bf16",
        "--batches",
        "1",
        "--facts",
        "20",
        "--lines",
        "40",
        "--limit",
        "1e9",
    ]
    command = [sys.executable, "-c", REFUSING, str(SCRIPT), *given, "--state", str(state)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=state.parent).stdout


def test_it_measures_and_goes_on_without_anything_but_torch_and_transformers(tmp_path: Path) -> None:
    state = tmp_path / "gpu.json"

    measured(state)

    parts = json.loads(state.read_text())["parts"]
    values = {row["measure"]: row["value"] for rows in parts.values() for row in rows}
    assert values["digest of 20 facts is the CPU's"] == 1.0
    assert values["digest of a matrix of 1000 columns is the CPU's"] == 1.0
    assert values["share of the steps that were done, batches of 1"] == 1.0
    assert values["seconds a fact, batches of 1"] > 0
    assert values["floor a fact"] > 0  # by the speed of another moment, which on a busy machine may be slower

    # when a part is missing, then that part alone is measured
    kept = json.loads(state.read_text())
    del kept["parts"]["rebuild of 20"]
    state.write_text(json.dumps(kept))
    said = measured(state)
    again = json.loads(state.read_text())["parts"]
    assert said.count("measured before") == len(parts) - 1
    assert {name: rows for name, rows in again.items() if name != "rebuild of 20"} == kept["parts"]
    assert again.keys() == parts.keys()
