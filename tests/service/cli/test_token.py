"""`hypnogram token`: a door that is open until the first token, and what a token opens after that."""

from __future__ import annotations

import pytest

from tests.patience import eventually
from tests.service.cli.test_commands import Terminal
from tests.service.conftest import DEMO, Running


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", demo.settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(demo.settings.artifact_folder))
    return Terminal(demo, capsys, monkeypatch)


def test_a_token_is_created_used_listed_and_revoked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.run("memory", "list")[0] == 0
    text = terminal.out("token", "create", "--memory", DEMO, "--may", "read", "--actor", "ann").strip()
    eventually(lambda: terminal.run("memory", "list")[0] == 1)
    status, _, err = terminal.run("memory", "list")
    assert (status, "HYPNOGRAM_TOKEN" in err, "hypnogram token create" in err) == (1, True, True)

    monkeypatch.setenv("HYPNOGRAM_TOKEN", text)
    assert DEMO in terminal.out("memory", "list")
    assert "does not allow to write" in terminal.run("fact", "add", "Aria Voss", "lives in", "Lisbon")[2]
    (token,) = terminal.json("token", "list")
    assert (token["actor"], token["memory"], token["may"], token["state"]) == ("ann", DEMO, "read", "valid")
    assert text not in terminal.out("token", "list")

    assert token["id"] in terminal.out("token", "revoke", token["id"])
    assert "revoked" in terminal.run("memory", "list")[2]
    assert terminal.json("token", "list")[0]["state"] == "revoked"


def test_a_token_may_expire(terminal: Terminal) -> None:
    made = terminal.json("token", "create", "-m", "lab-*", "--may", "admin", "--days", "0")

    assert made["token"].startswith(f"hyp_{made['id']}_")
    assert (made["state"], made["actor"]) == ("expired", made["id"])
    assert "expired" in terminal.out("token", "list")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--memory", "No Such", "--may", "read"), "not the name of a memory"),
        (("create", "--memory", "demo", "--may", "everything"), "'read', 'write', 'admin'"),
        (("create", "--memory", "demo", "--may", "read", "--actor", "a\nb"), "printable"),
        (("create", "--memory", "demo"), "--may"),
        (("revoke", "nosuch"), "hypnogram token list"),
    ],
)
def test_what_cannot_be_done_is_refused(terminal: Terminal, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = terminal.run("token", *arguments)

    assert status
    assert said in err
    assert not out
