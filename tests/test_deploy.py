"""What is in `deploy/` and what docs/operations.md says: each file parses, and names only what exists.

Containers are not built here.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from service.cli.main import app
from service.settings import Settings
from service.settings_file import read_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def started_commands() -> Iterator[list[str]]:
    """The arguments of `hypnogram` in each file."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    yield json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[0])
    for name in ("server", "executor"):
        yield COMPOSE["services"][name]["command"]
    for container in pod()["containers"]:
        yield container["args"]
    for unit in UNITS:
        line = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[0]
        yield shlex.split(line)[1:]


def typed_commands() -> Iterator[list[str]]:
    """The arguments of `hypnogram` in comments, on the page and in its tables."""
    for path in [*FILES, ROOT / "docs" / "operations.md"]:
        text = path.read_text()
        for line in re.findall(r"(?:^\$ |`|-- |server )hypnogram ((?:[a-z]+ ?)+(?:[^`\n]*))", text, re.MULTILINE):
            yield shlex.split(line.strip())


def pod() -> dict[str, Any]:
    (deployment,) = (manifest for manifest in MANIFESTS if manifest["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def unknown_in(arguments: list[str]) -> list[str]:
    """What of a command line does not exist."""
    command: Any = get_command(app)
    unknown = []
    for argument in arguments:
        if argument.startswith("-"):
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            unknown += [argument] if argument.partition("=")[0] not in known else []
        elif isinstance(command, TyperGroup) and argument in command.commands:
            command = command.commands[argument]
    return [*unknown, *(arguments if isinstance(command, TyperGroup) else [])]


def test_every_command_exists_with_its_options() -> None:
    commands = [*started_commands(), *typed_commands()]

    assert len(commands) > 25
    assert {" ".join(arguments): unknown_in(arguments) for arguments in commands if unknown_in(arguments)} == {}
    assert unknown_in(["serve", "--nosuch"]) == ["--nosuch"]
    assert unknown_in(["nosuch"]) == ["nosuch"]


def test_every_variable_is_a_setting() -> None:
    known = {f"HYPNOGRAM_{name.upper()}" for name in Settings.model_fields}
    named = {
        name
        for path in [*FILES, ROOT / "docs" / "operations.md"]
        for name in re.findall(r"HYPNOGRAM_\w+", path.read_text())
    }

    assert len(named) > 8
    assert named - known == set()


def test_the_file_of_settings_is_one() -> None:
    settings = read_settings(DEPLOY / "hypnogram.toml", Settings.model_fields)

    assert Settings(**settings).require_tokens


def test_no_process_runs_as_root_and_none_that_others_reach_does_without_tokens() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    user = re.findall(r"^USER (\d+):", dockerfile, re.MULTILINE)

    assert user[-1] != "0"
    assert pod()["securityContext"]["runAsNonRoot"]
    assert str(pod()["securityContext"]["runAsUser"]) == user[-1]
    assert all("User=hypnogram" in unit.read_text() for unit in UNITS)
    for arguments in started_commands():
        assert "--host" not in arguments or "--require-tokens" in arguments


def test_the_image_copies_what_is_sent_to_its_build_and_all_of_the_packages() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    sent = set(re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    packages = {"core", "store", "service", "migrations", "models", "benchmarks", "proto"}

    assert names == sent
    assert packages <= names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_probes_ask_routes_that_exist() -> None:
    server, executor = pod()["containers"]

    assert server["readinessProbe"]["httpGet"]["path"] == server["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert server["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert executor["volumeMounts"] == server["volumeMounts"]
    assert "8000/readyz" in COMPOSE["services"]["server"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_a_unit(unit: Path, tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("there is no systemd-analyze")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/hypnogram/bin/hypnogram", "/bin/true"))

    checked = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)

    assert unit.name not in checked.stderr, checked.stderr
    assert re.search(r"^TimeoutStopSec=60$", copy.read_text(), re.MULTILINE)


def test_the_dashboard_and_the_page_name_metrics_that_exist() -> None:
    """Those of docs/http.md, which another test compares with what a server shows."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += (ROOT / "docs" / "operations.md").read_text()
    named = {name.removesuffix("_bucket") for name in re.findall(r"\b(?:hypnogram|process)_[a-z_]+\b", asked)}
    known = set(re.findall(r"`((?:hypnogram|process)_[a-z_]+)", (ROOT / "docs" / "http.md").read_text()))

    assert len(named) > 12
    assert named - known == set()
