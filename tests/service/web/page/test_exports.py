"""Weights that a visitor downloads: who may, what the file holds, why there is none, and that nothing stays behind."""

from __future__ import annotations

import io
import shlex
import tarfile
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from core.errors.archive import NotExportable
from core.method import Method
from service.app.store import Store
from service.rpc import interceptor
from service.settings import Settings
from service.web.page.downloads import Download
from service.weights.live_models import LiveModels
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.prepared import DEMO, Place
from tests.service.cli.test_commands import Shell
from tests.service.conftest import Running, run_server
from tests.service.parrot import SONG
from tests.service.web.conftest import OTHER, with_http
from tests.service.web.page.conftest import FORM, Seen, Visitor

EXPORT = "/memories/demo/export"
MERGED = {"kind": "merged", "at": ""}
Ended = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the server has its temporary ones."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def unpacked(content: bytes, folder: Path) -> dict[str, bytes]:
    """The files in the one folder of a tar, as they are on the disk."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(folder, filter="data")
    (only,) = folder.iterdir()
    return files_in(only)


def sent(visitor: Visitor, path: str = EXPORT, **fields: str) -> httpx.Response:
    return visitor.client.post(path, data=fields, headers={"content-type": FORM})


def asked(running: Running) -> HTTPConnection:
    """A connection on which a download was asked for."""
    connection = HTTPConnection(running.http.removeprefix("http://"), timeout=PATIENCE)
    connection.request("POST", EXPORT, urlencode(MERGED), {"content-type": FORM})
    return connection


@pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that
def test_a_download_is_what_the_command_writes(
    place: Place, scratch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a server of real models, and commands on its database
    settings, shell = with_http(place.settings()), Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
    monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))

    def models(store: Store) -> LiveModels:
        return LiveModels(store.log, store.artifacts, store.snapshots, settings)

    with run_server(settings, models) as running, closing(Visitor(running.http).client) as client:
        for kind, at in (("merged", ""), ("adapter", ""), ("adapter", "2")):
            # when the same is downloaded and written by the command
            name = f"{kind}{at}"
            answer = client.post(EXPORT, data={"kind": kind, "at": at})
            command = ("export", str(tmp_path / name), "--as", kind, "--memory", DEMO)
            written = shell.json(*command, *(("--at-version", at) if at else ()))

            # then both hold the same bytes
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-tar"), answer.text
            assert f'"demo-{written["version"]}-{kind}.tar"' in answer.headers["content-disposition"]
            assert int(answer.headers["content-length"]) == len(answer.content)
            assert unpacked(answer.content, tmp_path / f"{name}-unpacked") == files_in(tmp_path / name)
    assert list(scratch.iterdir()) == []


def test_weights_that_a_kind_cannot_hold_are_refused_with_the_reason(
    demo: Running, visitor: Visitor, scratch: Path
) -> None:
    demo.parrot.broken = NotExportable("LoRA adapter", 2, "an adapter adds matrices; export a merged model")

    refused = visitor.send(EXPORT, kind="adapter", at="2")

    assert refused.status == 400
    assert "2 memory neurons, which a LoRA adapter cannot hold" in refused.text("p")
    assert refused.all("p", role="alert")
    assert [has["value"] for has in refused.all("input", type="radio") if "checked" in has] == ["adapter"]
    assert list(scratch.iterdir()) == []


def test_an_adapter_is_not_offered_where_facts_are_neurons(demo: Running, visitor: Visitor) -> None:
    for method in Method:
        demo.client.create_memory(method.value.replace("_", "-"), method=method.value)
        offered = visitor.get(f"/memories/{method.value.replace('_', '-')}/export").all("input", type="radio")
        assert [has["value"] for has in offered] == ["merged", *(["adapter"] if method is not Method.NEURON else [])]


def test_what_cannot_be_asked_for_is_refused_and_what_was_typed_stays(
    demo: Running, visitor: Visitor, scratch: Path
) -> None:
    for kind, at, status in (("archive", "1", 400), ("", "", 400), ("merged", "99", 404), ("merged", "nosuch", 404)):
        refused = visitor.send(EXPORT, kind=kind, at=at)

        assert refused.status == status
        assert refused.all("p", role="alert")
        assert not at or refused.all("input", id="at")[0]["value"] == at
    assert demo.parrot.exported == []
    assert list(scratch.iterdir()) == []


def test_the_page_says_why_it_sends_no_archive(visitor: Visitor) -> None:
    seen = visitor.get(EXPORT)

    assert "does not send it, because with the keys whoever has the file reads all words" in seen.text()
    assert "archive" in [shlex.split(words)[3] for words in seen.words["pre"] if "--as" in words]


def test_weights_are_for_who_may_admin_the_memory(settings: Settings, scratch: Path) -> None:
    with run_server(with_http(settings)) as running:
        for memory in (DEMO, OTHER):
            running.client.create_memory(memory)
            running.work(memory)
        tokens = Tokens(running.store.log.engine)
        texts = {
            f"{may} {memory}": tokens.create(actor="ann", memory=memory, may=may)[1]
            for memory, may in ((DEMO, "read"), (DEMO, "write"), (DEMO, "admin"), (OTHER, "admin"))
        }
        eventually(lambda: httpx.get(running.http).status_code == 303)
        visitors = {who: Visitor(running.http, text) for who, text in texts.items()}

        to_sign_in = httpx.post(f"{running.http}{EXPORT}", data=MERGED)
        assert (to_sign_in.status_code, to_sign_in.headers["location"].partition("?")[0]) == (303, "/sign-in")
        for who in ("read demo", "write demo"):
            seen = visitors[who].get(EXPORT)
            assert (seen.status, seen.all("form", action=EXPORT)) == (200, [])
            assert "takes a token that may admin demo" in seen.text()
            refused = sent(visitors[who], **MERGED)
            assert (refused.status_code, "admin" in Seen(403, refused.text).text("p")) == (403, True)
        assert sent(visitors["admin other"], **MERGED).status_code == 403
        assert running.parrot.exported == []
        allowed = sent(visitors["admin demo"], **MERGED)
        assert (allowed.status_code, len(running.parrot.exported)) == (200, 1)
        for visitor in visitors.values():
            visitor.client.close()
    assert list(scratch.iterdir()) == []


def test_a_page_of_another_site_starts_no_download(demo: Running, visitor: Visitor) -> None:
    refused = visitor.client.post(EXPORT, data=MERGED, headers={"sec-fetch-site": "cross-site"})

    assert (refused.status_code, demo.parrot.exported) == (403, [])


def test_a_page_sees_by_a_cookie_that_the_file_arrives(visitor: Visitor) -> None:
    name = visitor.get(EXPORT).all("form", action=EXPORT)[0]["data-begun"]

    cookie = sent(visitor, **MERGED).headers["set-cookie"].lower()

    assert cookie.startswith(f"{name}=")
    assert f"path={EXPORT}" in cookie
    assert "httponly" not in cookie


def test_a_visitor_that_goes_while_files_are_written_leaves_nothing(demo: Running, scratch: Path, ended: Ended) -> None:
    demo.parrot.export_until = threading.Event()  # which is never set
    with closing(asked(demo)):
        eventually(lambda: demo.parrot.exported)
        with closing(asked(demo)):  # and waits for the first
            eventually(lambda: len(list(scratch.iterdir())) == 2)

    eventually(lambda: list(scratch.iterdir()) == [])
    eventually(lambda: [line["code"] for line in ended() if "/export" in line["call"]] == ["CANCELLED"] * 2)
    assert len(demo.parrot.exported) == 1


def test_a_visitor_that_goes_while_the_file_is_sent_leaves_nothing(demo: Running, scratch: Path, ended: Ended) -> None:
    with closing(asked(demo)) as connection:
        answer = connection.getresponse()
        assert answer.read(1000)
        assert len(list(scratch.iterdir())) == 1

    eventually(lambda: list(scratch.iterdir()) == [])
    eventually(lambda: [line["code"] for line in ended() if "/export" in line["call"]] == ["CANCELLED"])


def test_a_server_that_stops_leaves_nothing(demo: Running, scratch: Path) -> None:
    demo.parrot.export_until = threading.Event()
    with closing(asked(demo)):
        eventually(lambda: demo.parrot.exported)
        demo.stop()

    eventually(lambda: list(scratch.iterdir()) == [])


def test_what_fails_leaves_nothing_and_the_next_download_works(
    demo: Running, visitor: Visitor, scratch: Path, tmp_path: Path
) -> None:
    demo.parrot.broken = OSError(28, "No space left on device")
    failed = sent(visitor, **MERGED)
    demo.parrot.broken = None

    assert (failed.status_code, "reach its database or its disk" in failed.text) == (503, True)
    assert list(scratch.iterdir()) == []
    assert unpacked(sent(visitor, **MERGED).content, tmp_path / "next")["model.safetensors"] == SONG


def test_a_token_that_is_revoked_meanwhile_gets_no_rest(
    settings: Settings, scratch: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "RECOGNIZED_SECONDS", -1.0)
    with run_server(with_http(settings)) as running:
        running.client.create_memory(DEMO)
        running.work()
        tokens = Tokens(running.store.log.engine)
        token, text = tokens.create(actor="ann", memory=DEMO, may="admin")
        eventually(lambda: httpx.get(running.http).status_code == 303)
        visitor = Visitor(running.http, text)
        with closing(visitor.client), visitor.client.stream("POST", EXPORT, data=MERGED) as answer:
            assert answer.status_code == 200
            tokens.revoke(token.id)
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        eventually(lambda: [line["code"] for line in ended() if "/export" in line["call"]] == ["UNAUTHENTICATED"])
    assert list(scratch.iterdir()) == []


def test_a_download_that_is_dropped_is_removed(scratch: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        download = Download("dropped", lambda folder, cancelled: folder.mkdir(), threads)
        eventually(lambda: list(scratch.glob("*/dropped")))
        del download

    assert list(scratch.iterdir()) == []
