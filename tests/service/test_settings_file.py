"""Settings from a TOML file: what wins over it, and how a mistake in it is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors.base import ConfigurationInvalid
from service.cli import options
from service.cli.output import UsageProblem
from service.settings import Settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names."""
    path = tmp_path / "hypnogram.toml"
    monkeypatch.setenv("HYPNOGRAM_CONFIG", str(path))
    return path


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('port = 4001\nmemory = "of the file"\nmax_streams = 7\nreference_text = "file.jsonl"\n')
    monkeypatch.setenv("HYPNOGRAM_PORT", "4002")
    monkeypatch.setenv("HYPNOGRAM_MEMORY", "of the environment")
    monkeypatch.setenv("HYPNOGRAM_REFERENCE_TEXT", "environment.jsonl")

    chosen = options.settings(port=4003)

    assert (chosen.port, chosen.memory, chosen.max_streams) == (4003, "of the environment", 7)
    assert chosen.reference_text == Path("environment.jsonl")
    assert chosen.log_level == "info"
    assert chosen.config == file


def test_a_setting_that_has_two_names_in_the_environment_has_one_in_the_file(file: Path) -> None:
    file.write_text('reference_text = "file.jsonl"\n')

    assert Settings().reference_text == Path("file.jsonl")
    assert Settings(reference_text=Path("flag.jsonl")).reference_text == Path("flag.jsonl")


def test_the_users_own_file_is_read_where_the_environment_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYPNOGRAM_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    before = Settings().port
    (tmp_path / "hypnogram").mkdir()
    (tmp_path / "hypnogram" / "hypnogram.toml").write_text("port = 4001\n")

    assert (before, Settings().port) == (50051, 4001)


@pytest.mark.parametrize(
    ("text", "key", "line", "problem"),
    [
        ("# a comment\nprot = 1\n", "prot", 2, "is not a setting; did you mean port?"),
        ("HYPNOGRAM_PORT = 1\n", "HYPNOGRAM_PORT", 1, "did you mean port?"),
        ("port = 1\n\n[server]\nhost = 'a'\n", "server", 3, "is not a setting"),
        ("host = 'a'\nport = '50051'\n", "port", 2, "has to be a whole number, not a text in quotes"),
        ("port = true\n", "port", 1, "has to be a whole number, not true or false"),
        ("executor = 'on'\n", "executor", 1, "has to be true or false, not a text in quotes"),
        ("sleep_hours = '1'\n", "sleep_hours", 1, "has to be a number, not a text in quotes"),
        ("token = 12\n", "token", 1, "has to be a text in quotes, not a whole number"),
        ("host = ['a']\n", "host", 1, "has to be a text in quotes, not an array"),
        ("port = 65536\n", "port", 1, "less than or equal to 65535, not 65536"),
        ("\nlog_level = 'loud'\n", "log_level", 2, "input should be 'debug'"),
        ("device = 'abacus'\n", "device", 1, "match pattern"),
        ("config = 'other.toml'\n", "config", 1, "cannot be set in a file; set HYPNOGRAM_CONFIG"),
        ("port = 1\nport = 2\n", "", 2, "is not TOML"),
        ("host = \n", "", 1, "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_line(file: Path, text: str, key: str, line: int, problem: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigurationInvalid) as found:
        Settings()

    assert str(found.value).startswith(f"{file}, line {line}: {key}")
    assert problem in str(found.value)
    assert found.value.metadata == {"file": str(file), "key": key, "line": str(line)}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda file: None, "cannot be read: No such file or directory"),
        (lambda file: file.mkdir(), "cannot be read: Is a directory"),
        (lambda file: file.write_bytes(b"host = '\xff'"), "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_of_usage(file: Path, make: object, problem: str) -> None:
    assert callable(make)
    make(file)

    with pytest.raises(UsageProblem, match=problem):
        options.settings()


def test_whole_numbers_are_numbers_and_switches_are_words_of_toml(file: Path) -> None:
    file.write_text("sleep_hours = 24\nexecutor = false\ntls_key = 'key.pem'\ntoken = 'secret'\n")

    chosen = Settings()

    assert (chosen.sleep_hours, chosen.executor, chosen.tls_key) == (24.0, False, Path("key.pem"))
    assert chosen.token.get_secret_value() == "secret"


def test_a_command_reads_the_file_that_it_is_given_and_fails_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"database_url = 'sqlite:///{tmp_path}/none.db'\nprot = 1\n")
    command = [sys.executable, "-m", "service.cli.main", "--config", str(file), "serve"]

    run = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

    assert run.returncode == 2
    assert run.stderr == f"hypnogram: {file}, line 2: prot: is not a setting; did you mean port?\n"
