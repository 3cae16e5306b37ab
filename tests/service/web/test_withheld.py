"""Whoever may read one memory learns no folder or bucket of the server and no other memory, whatever they ask."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import httpx
import pytest
from google.longrunning import operations_pb2
from hypnogram.v1 import history_pb2

from core.errors.base import ArtifactsUnreachable, ModelUnavailable
from core.ids import MemoryId
from hypnogram.client import CallFailed, Client, new_fact
from service.app import forks
from service.guard.withheld import WITHHELD, without_places
from service.log_setup import configure
from service.settings import Settings
from store.database.executors import Duty, Executors
from store.database.leases import Leases
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server, settings_in
from tests.service.parrot import Parrot
from tests.service.web.conftest import with_http
from tests.service.web.test_access import ACCEPT

SECRET, FOLDER, MOVED = "secret", "/srv/models/parrot-7", "/srv/moved ones/parrot-7"
BUCKET, ENDPOINT, LOGGED = "s3://acme/prod", "http://minio:9000", "artifacts.unreachable"
AT = f"the artifacts at {WITHHELD}"
AWAY = ModelUnavailable(f"there is no model folder '{MOVED}': name another", model=MOVED)


@dataclass
class Guarded:
    """A server whose memory `demo` is a fork of `secret`, on a model in a folder; texts of tokens by what they may."""

    running: Running
    fact: str
    texts: dict[str, str]

    def client(self, may: str) -> Client:
        return Client(self.running.address, token=self.texts[may])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    describe = Parrot.describe

    def in_folder(parrot: Parrot, **given: Any) -> Any:
        created = describe(parrot, **given)
        return replace(created, base=replace(created.base, name=FOLDER))

    def ready(parrot: Parrot, memory: MemoryId) -> None:
        if memory == DEMO:
            raise AWAY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parrot, "describe", in_folder)
        patch.setattr(Parrot, "moved", lambda parrot, created, name, revision: name)
        patch.setattr(Parrot, "ready", ready)
        patch.setattr(forks, "check_whole", lambda store, command: None)  # because parrots store no artifacts
        with run_server(with_http(settings_in(tmp_path_factory.mktemp("withheld")))) as running:
            client = running.client
            client.create_memory(SECRET)
            running.work(SECRET)
            fact = client.add_facts(SECRET, [new_fact("Aria Voss", "lives in", "Lisbon")]).results[0].fact.fact
            running.work(SECRET)
            client.fork(DEMO, SECRET)
            client.rebase_memory(DEMO, MOVED)
            client.replay(DEMO, restore_as=f"{SECRET}-again")
            eventually(lambda: client.memory(DEMO).readiness.failure)
            engine, duty = running.store.log.engine, Duty(work="inject", reason=AWAY.reason, message=str(AWAY))
            lease = Leases(engine).claim(MemoryId(DEMO), "executor", PATIENCE, duty)
            assert lease is not None
            Leases(engine).release(lease, put_off=duty)
            running.parrot.broken = AWAY
            tokens = Tokens(engine)
            texts = {
                f"{may} {memory}": tokens.create(actor="ann", memory=memory, may=may)[1]
                for memory, may in ((DEMO, "read"), (DEMO, "write"), (DEMO, "admin"), ("*", "read"))
            }
            eventually(lambda: httpx.get(f"{running.http}/v1/models", timeout=PATIENCE).status_code == 401)
            yield Guarded(running, fact, texts)


def over_grpc(guarded: Guarded, may: str) -> dict[str, str]:
    """What is responded to each call that may name a folder or a memory."""
    Executors(guarded.running.store.log.engine).beat("executor")
    with guarded.client(may) as client:
        said: dict[str, Any] = {
            "memory": client.memory(DEMO),
            "as it was": client.memory(DEMO, at_version=4),
            "events": list(client.events(DEMO)),
            "lineage": client.lineage(DEMO, guarded.fact),
            "facts": list(client.facts(DEMO)),
            "memories": list(client.memories()),
            "operations": client.stubs.operations.ListOperations(
                operations_pb2.ListOperationsRequest(),
                metadata=(("authorization", f"Bearer {guarded.texts[may]}"),),
            ),
        }
        request = history_pb2.WatchRequest(memory=DEMO)
        with closing(client.stream(client.stubs.history.Watch, request)) as watched:
            said["watch"] = list(islice(watched, said["memory"].version))
        with pytest.raises(CallFailed) as refused:
            list(client.chat(DEMO, "hello"))
        said["chat"] = (refused.value.code, str(refused.value), refused.value.metadata)
    return {call: str(response) for call, response in said.items()}


def over_http(guarded: Guarded, may: str) -> dict[str, str]:
    """What is responded by each route that may name a folder or a memory."""
    headers, fact = {"authorization": f"Bearer {guarded.texts[may]}", **ACCEPT}, guarded.fact
    asked = {"model": DEMO, "messages": [{"role": "user", "content": "hello"}]}
    params = {"name": "why", "arguments": {"memory": DEMO, "fact": fact}}
    why = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with httpx.Client(base_url=guarded.running.http, headers=headers, timeout=PATIENCE) as http:
        said = {path: http.get(f"/memories/{DEMO}{path}") for path in ("", "/versions", f"/facts/{fact}")}
        said["sleeps"] = http.get(f"/memories/{DEMO}/sleeps")
        said["chat page"] = http.post(f"/memories/{DEMO}/chat", data={"question": "hello"})
        said["chat"] = http.post("/v1/chat/completions", json=asked)
        said["why"] = http.post("/mcp", json=why)
        said["models"] = http.get("/v1/models")
    return {route: response.text for route, response in said.items()}


@pytest.mark.parametrize("may", ["read demo", "write demo"])
def test_a_token_of_one_memory_learns_no_folder_and_no_parent(guarded: Guarded, may: str) -> None:
    grpc, http = over_grpc(guarded, may), over_http(guarded, may)

    for asked, said in (grpc | http).items():
        assert "srv" not in said, asked
        assert "moved ones" not in said, asked
        assert SECRET not in said, asked
    for asked in ("memory", "as it was", "events", "watch", "chat"):
        assert "parrot-7" in grpc[asked], "its name may be known"
    for asked in ("", "why", "chat", "chat page"):
        assert "parrot-7" in http[asked], "its name may be known"
    assert "MODEL_UNAVAILABLE" in grpc["memory"]
    assert "parent_version" in grpc["memory"]


def test_who_may_read_the_parent_is_told_its_name(guarded: Guarded) -> None:
    grpc, http = over_grpc(guarded, "read *"), over_http(guarded, "read *")

    for asked in ("memory", "events", "watch", "operations"):
        assert SECRET in grpc[asked], asked
    assert f'href="/memories/{SECRET}"' in http["/versions"]
    for asked, said in (grpc | http).items():
        assert "srv" not in said, asked


def test_who_may_create_memories_is_told_the_folder_and_not_the_parent(guarded: Guarded) -> None:
    grpc, http = over_grpc(guarded, "admin demo"), over_http(guarded, "admin demo")

    for asked in ("memory", "events", "watch", "chat"):
        assert MOVED in grpc[asked], asked
    assert FOLDER in grpc["events"]
    assert MOVED in http[""]
    for asked, said in (grpc | http).items():
        assert SECRET not in said, asked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no folder '/srv/my models/a': name one", "there is no folder 'a': name one"),
        ("[Errno 2] No such file: '/srv/a/config.json'", "[Errno 2] No such file: 'config.json'"),
        ("/srv/a/b.json: not JSON; correct it", "b.json: not JSON; correct it"),
        ("see https://hub.example/org/a, org/a, and/or 3/4", "see https://hub.example/org/a, org/a, and/or 3/4"),
        (
            "the artifacts at s3://acme/a (GET http://minio/a: refused); see",
            f"{AT} (GET {WITHHELD}: refused); see",
        ),
        ("the artifacts at S3://key:se;cr,et@acme/prod. Check", f"{AT}. Check"),
        ("the artifacts at s3a://acme (no such bucket)", f"{AT} (no such bucket)"),
    ],
)
def test_folders_and_buckets_are_cut_out_of_texts(text: str, shown: str) -> None:
    assert without_places(text) == shown


@pytest.fixture
def unreachable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Guarded, io.StringIO]]:
    """A server whose artifacts are on storage that is away, as an executor said too; and its log."""
    lines = io.StringIO()

    def away(*_: Any, **__: Any) -> Any:
        raise ArtifactsUnreachable(BUCKET, f"error performing GET {ENDPOINT}/acme/prod in 2.1 s")

    with run_server(with_http(settings)) as running:
        configure("json", "info", lines)
        running.client.create_memory(DEMO)
        running.work()
        fact = running.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")]).results[0].fact.fact
        running.work()
        for call in ("ready", "generate", "replay", "export"):
            monkeypatch.setattr(Parrot, call, away)
        with pytest.raises(ArtifactsUnreachable) as why:
            away()
        engine, duty = running.store.log.engine, Duty(work="inject", reason=why.value.reason, message=str(why.value))
        lease = Leases(engine).claim(MemoryId(DEMO), "executor", PATIENCE, duty)
        assert lease is not None
        Leases(engine).release(lease, put_off=duty)
        with pytest.raises(CallFailed):
            running.client.replay(DEMO)
        tokens = Tokens(engine)
        texts = {may: tokens.create(actor="ann", memory=DEMO, may=may)[1] for may in ("read", "write", "admin")}
        eventually(lambda: httpx.get(f"{running.http}/v1/models", timeout=PATIENCE).status_code == 401)
        yield Guarded(running, fact, texts), lines


@pytest.mark.parametrize("may", ["read", "write"])
def test_a_token_without_admin_learns_no_bucket_which_the_log_names(
    unreachable: tuple[Guarded, io.StringIO], may: str
) -> None:
    guarded, lines = unreachable

    grpc, http = over_grpc(guarded, may), over_http(guarded, may)

    for asked, said in (grpc | http).items():
        for secret in ("acme", "minio", BUCKET, ENDPOINT):
            assert secret not in said, asked
    for said in (grpc["chat"], grpc["memory"], http["chat"], http["chat page"]):
        assert WITHHELD in said
        assert "what needs them waits and is tried again" in said
    assert "ARTIFACTS_UNREACHABLE" in grpc["memory"]
    (named, *_) = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == LOGGED]
    assert (named["url"], ENDPOINT in named["why"]) == (BUCKET, True)


def test_who_may_create_memories_is_told_the_bucket(unreachable: tuple[Guarded, io.StringIO]) -> None:
    grpc, http = over_grpc(unreachable[0], "admin"), over_http(unreachable[0], "admin")

    for said in (grpc["chat"], grpc["memory"], http["chat"], http["chat page"]):
        assert BUCKET in said
        assert ENDPOINT in said
    assert "acme" not in grpc["operations"], "because whoever asks for one later may be another"
