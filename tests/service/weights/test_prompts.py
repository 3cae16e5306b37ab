"""A prompt is measured before other calls wait for it, and a template that loops delays no other call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypnogram.v1 import memories_pb2

from benchmarks.support.tiny import LLAMA, TEMPLATE, make
from core.ids import MemoryId
from core.weights.model import templates
from hypnogram.client import CallFailed
from service.app.store import Store
from service.weights.live_models import LiveModels
from service.weights.prompts import CHARACTERS
from tests.patience import PATIENCE
from tests.prepared import DEMO, Place
from tests.service.conftest import Running, run_server

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
READS = int(str(LLAMA["max_position_embeddings"]))


@dataclass
class Live:
    server: Running
    models: LiveModels

    def said(self, content: str, memory: str = DEMO, turns: int = 1) -> str:
        messages = [
            {"role": ("user", "assistant")[turn % 2], "content": content} for turn in range(turns - 1 + turns % 2)
        ]
        return "".join(
            piece.text for piece in self.server.client.chat(memory, messages, max_tokens=2, timeout=PATIENCE)
        )


@pytest.fixture
def live(small: Place) -> Iterator[Live]:
    """A server that generates one answer at a time, in real."""
    made: list[LiveModels] = []

    def models(store: Store) -> LiveModels:
        made.append(LiveModels(store.log, store.artifacts, store.snapshots, small.settings()))
        return made[0]

    with run_server(small.settings().model_copy(update={"max_streams": 1, "stop_seconds": 1}), models) as server:
        yield Live(server, made[0])


TOO_LONG: dict[str, Callable[[Live], object]] = {
    "one message": lambda live: live.said("word " * (CHARACTERS * READS // 5 + 1)),
    "many messages": lambda live: live.said("word " * 100, turns=CHARACTERS * READS // 500 + 2),
    "a prompt": lambda live: list(live.server.client.complete(DEMO, "word " * (CHARACTERS * READS // 5 + 1))),
}


@pytest.mark.parametrize("ask", TOO_LONG.values(), ids=TOO_LONG)
def test_what_no_model_of_its_size_can_read_is_refused_by_its_length_alone(
    live: Live, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Live], object]
) -> None:
    assert live.said("Hello")
    monkeypatch.setattr(templates, "fill_in", pytest.fail)
    monkeypatch.setattr("core.weights.model.editable_model.EditableModel.raw_ids", pytest.fail)
    with pytest.raises(CallFailed, match="characters, far more than fit") as failure:
        ask(live)

    assert failure.value.code == "INVALID_ARGUMENT"
    assert list(failure.value.fields) in (["messages"], ["prompt"])


@pytest.mark.parametrize("content", ["word " * (READS + 1), "word " * (CHARACTERS * READS // 5 + 1)])
def test_a_conversation_too_long_is_refused_while_its_memory_answers_somebody_else(live: Live, content: str) -> None:
    """What is asked becomes tokens before the memory's lock is taken, so that no call waits for it inside."""
    assert live.said("Hello")
    with (
        live.models._live[MemoryId(DEMO)].lock,
        pytest.raises(CallFailed, match=f"in the {READS} .*reads at once") as failure,
    ):
        live.said(content)

    assert (failure.value.code, list(failure.value.fields)) == ("INVALID_ARGUMENT", ["messages"])


def test_a_template_that_loops_is_refused_and_the_only_thread_answers_others(live: Live) -> None:
    loop = make(live.models._settings.artifact_folder / "loop")
    (loop / "chat_template.jinja").write_text(
        f"{{% if messages[-1]['content'] == 'loop' %}}{LOOP}{{% endif %}}{TEMPLATE}"
    )
    live.server.client.create_memory("loop", base=memories_pb2.BaseModel(name=str(loop)))
    for _ in range(2):
        with pytest.raises(CallFailed, match="did not come to an end") as failure:
            live.said("loop", "loop")
        assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "MODEL_UNAVAILABLE")

    assert live.said("Hello")


def test_a_server_ends_on_a_signal_whatever_a_thread_of_it_does(small: Place) -> None:
    """Nothing of ours runs for ever; should something, nothing is lost with it, and the process ends by itself."""
    endless = "import threading, time; threading.Thread(target=time.sleep, args=(3600,)).start()"
    start = "from service.cli.main import main; main()"
    settings = small.settings()
    environment = {
        **os.environ,
        "HYPNOGRAM_DATABASE_URL": settings.database_url,
        "HYPNOGRAM_ARTIFACT_FOLDER": str(settings.artifact_folder),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(settings.snapshot_folder),
        "HYPNOGRAM_STOP_SECONDS": "0",
        "HYPNOGRAM_EXECUTOR": "off",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", f"{endless}; {start}", "serve", "--port", "0"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 1
