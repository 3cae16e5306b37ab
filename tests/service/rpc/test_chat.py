"""Answers streamed over the wire; what is in them is the model's affair."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
from hypnogram.v1 import chat_pb2

from benchmarks.support.tiny import TEMPLATE, make, tokenizer
from core.errors.base import ArtifactMissing
from core.errors.history import WordsErased
from hypnogram.client import CallFailed, new_fact
from service.app.ports import Piece, Sampling
from service.app.store import Store, open_store
from service.weights.live_models import LiveModels
from tests.patience import PATIENCE, eventually
from tests.prepared import Place, create
from tests.service.conftest import DEMO, Running, run_server

LONG = 1000  # pieces of an answer that takes most of a minute where each piece is slow
SLOW = 0.05


@contextmanager
def thinking(server: Running) -> Iterator[None]:
    """Its model thinks about whatever it is asked, and says nothing before this is left."""
    enough = server.parrot.think_until = threading.Event()
    try:
        yield
    finally:
        enough.set()


def test_an_answer_comes_in_pieces_that_name_their_weights(demo: Running) -> None:
    pieces = list(demo.client.chat(DEMO, "say it again"))

    assert [piece.text for piece in pieces] == ["say ", "it ", "again "]
    assert [piece.finish for piece in pieces] == [0, 0, chat_pb2.FINISH_STOP]
    assert len({piece.weights_digest for piece in pieces}) == 1


def test_a_continuation_ends_at_the_most_tokens_allowed(demo: Running) -> None:
    pieces = list(demo.client.complete(DEMO, "one two three four", max_tokens=2))

    assert "".join(piece.text for piece in pieces) == "one two "
    assert pieces[-1].finish == chat_pb2.FINISH_LENGTH


def test_an_answer_ends_before_a_stop_that_two_pieces_share(demo: Running) -> None:
    pieces = list(demo.client.chat(DEMO, "one two three four", stop=["o th", "four"]))

    assert "".join(piece.text for piece in pieces) == "one tw"
    assert pieces[-1].finish == chat_pb2.FINISH_STOP
    assert demo.parrot.closed.wait(PATIENCE)
    assert demo.parrot.generated == 3


def test_text_that_only_began_a_stop_is_given(demo: Running) -> None:
    pieces = list(demo.client.complete(DEMO, "one two", stop=["two three"]))

    assert "".join(piece.text for piece in pieces) == "one two "


def test_tokens_are_counted(demo: Running) -> None:
    pieces = list(demo.client.chat(DEMO, "say it again", max_tokens=2))

    assert [(piece.prompt_tokens, piece.tokens) for piece in pieces] == [(3, 1), (3, 2)]


def test_tokens_are_drawn_where_a_temperature_is_given(demo: Running) -> None:
    def asked(temperature: float, top_p: float | None = None, seed: int | None = None) -> Sampling | None:
        list(demo.client.chat(DEMO, "hello", temperature=temperature, top_p=top_p, seed=seed))
        return demo.parrot.sampling

    assert asked(0.0) is None
    assert asked(0.5, 0.9, 7) == Sampling(0.5, 0.9, 7)
    assert asked(1.0) != asked(1.0)  # the server draws a seed


def test_the_model_stops_when_the_client_goes(demo: Running) -> None:
    demo.parrot.slow = SLOW
    answer = demo.client.chat(DEMO, "word " * LONG, max_tokens=LONG)
    list(islice(answer, 2))
    answer.close()

    assert demo.parrot.closed.wait(PATIENCE)
    assert demo.parrot.generated < LONG


def test_the_model_stops_when_the_deadline_passes(demo: Running) -> None:
    demo.parrot.slow, seconds = SLOW, 0.3
    while not demo.parrot.generated:  # on a busy machine a deadline may pass before the model is asked
        with pytest.raises(CallFailed) as failure:
            list(demo.client.chat(DEMO, "word " * LONG, max_tokens=LONG, timeout=seconds))
        assert failure.value.code == "DEADLINE_EXCEEDED"
        seconds *= 2

    assert demo.parrot.closed.wait(PATIENCE)
    assert demo.parrot.generated < LONG


def test_the_event_loop_answers_while_models_think(demo: Running) -> None:
    with ThreadPoolExecutor(5) as threads, thinking(demo):
        answers = [threads.submit(lambda: list(demo.client.chat(DEMO, "a b c d e"))) for _ in range(4)]
        eventually(lambda: len(demo.parrot.thinking) == 4)
        threads.submit(demo.client.memory, DEMO).result(PATIENCE)
        assert not any(answer.done() for answer in answers)
    assert all(len(answer.result()) == 5 for answer in answers)


def test_a_question_waits_for_the_weights_of_the_version_it_asks_for(demo: Running) -> None:
    version = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")]).version
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(lambda: list(demo.client.chat(DEMO, "hello", min_version=version)))
        time.sleep(0.2)
        assert not answer.done()
        demo.work()
        assert answer.result(PATIENCE)[0].text == "hello "


def test_the_model_is_asked_as_it_was(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])

    assert {piece.version for piece in demo.client.chat(DEMO, "say it again", at_version=2)} == {2}
    assert {piece.version for piece in demo.client.complete(DEMO, "say it", at_version=2)} == {2}


def test_questions_about_the_past_do_not_keep_questions_about_now_waiting(demo: Running) -> None:
    at_once = demo.settings.max_streams
    with ThreadPoolExecutor(2 * at_once + 1) as threads, thinking(demo):
        past = [
            threads.submit(lambda: list(demo.client.chat(DEMO, "a b c d e", at_version=2))) for _ in range(2 * at_once)
        ]
        eventually(lambda: len(demo.parrot.thinking) == at_once)
        demo.parrot.think_until = None  # those that think already go on
        threads.submit(lambda: list(demo.client.chat(DEMO, "hello"))).result(PATIENCE)
        assert not any(answer.done() for answer in past)
    assert {len(answer.result()) for answer in past} == {5}


def test_a_version_that_needs_an_erased_fact_is_refused(demo: Running) -> None:
    demo.parrot.broken = WordsErased("f")
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, "hello", at_version=2))

    assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "WORDS_ERASED")


def test_a_conversation_that_the_model_s_template_refuses_is_told_why(tmp_path: Path) -> None:
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    base, place = make(tmp_path / "base"), Place(tmp_path)
    speaks = tokenizer()
    speaks.chat_template = refusing + TEMPLATE
    speaks.save_pretrained(base)
    with open_store(place.settings()) as store:
        create(store, str(base))

    def models(store: Store) -> LiveModels:
        return LiveModels(store.log, store.artifacts, store.snapshots, place.settings())

    with run_server(place.settings(), models) as running:
        user = {"role": "user", "content": "Where does Ann Lee live?"}
        assert list(running.client.chat(DEMO, [user], max_tokens=2))
        with pytest.raises(CallFailed, match="System role not supported") as failure:
            list(running.client.chat(DEMO, [{"role": "system", "content": "Be kind."}, user]))

    assert (failure.value.code, list(failure.value.fields)) == ("INVALID_ARGUMENT", ["messages"])


def test_weights_that_cannot_be_trusted_are_data_loss(demo: Running) -> None:
    demo.parrot.broken = ArtifactMissing("d" * 64)
    with pytest.raises(CallFailed) as failure:
        list(demo.client.complete(DEMO, "hello"))

    assert (failure.value.code, failure.value.reason) == ("DATA_LOSS", "ARTIFACT_MISSING")


def test_the_model_is_asked_in_the_spelling_in_which_it_was_told(demo: Running) -> None:
    asked = "Jose\u0301\u00a0Pen\u0303a?"

    assert "".join(piece.text for piece in demo.client.chat(DEMO, asked)) == "José Peña? "
    assert "".join(piece.text for piece in demo.client.complete(DEMO, asked)) == "José Peña? "


@pytest.mark.parametrize(
    ("prompt", "asked", "answer"),
    [
        ("Aria Voss lives in", "Aria Voss lives in", " Lisbon."),
        ("Aria Voss lives in ", "Aria Voss lives in", "Lisbon."),
        ("Aria Voss lives in\u00a0 ", "Aria Voss lives in", "Lisbon."),
        ("Aria Voss:\n ", "Aria Voss:\n ", " Lisbon."),  # the beginning of a line
    ],
)
def test_a_blank_at_the_end_of_a_text_is_the_one_before_the_next_word(
    demo: Running, monkeypatch: pytest.MonkeyPatch, prompt: str, asked: str, answer: str
) -> None:
    prompts: list[object] = []

    def generate(memory: object, **given: object) -> Generator[Piece, None, None]:
        prompts.append(given["prompt"])
        yield from (Piece(text, finish, 1, "") for text, finish in (("", None), (" Lis", None), ("bon.", "stop")))

    monkeypatch.setattr(demo.parrot, "generate", generate)

    assert "".join(piece.text for piece in demo.client.complete(DEMO, prompt)) == answer
    assert prompts == [asked]
