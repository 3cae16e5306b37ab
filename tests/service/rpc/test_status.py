"""Every refusal has a status, every status its details, and a bug tells nothing."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2

import service.rpc.status
from core.errors import access, archive, base, conversation, harm, history
from core.errors.base import HypnogramError
from core.ids import FactId
from hypnogram.client import CallFailed, new_fact
from service.pulled.folder import PullFailed
from service.rpc.status import CODES, DOMAIN, status_of
from tests.service.conftest import DEMO, Running

ABSTRACT = {HypnogramError, base.Refused}  # never raised themselves
OF_COMMANDS = {PullFailed, base.ConfigurationInvalid, base.RayUnavailable}  # raised by commands, never sent

EXAMPLES: tuple[HypnogramError, ...] = (
    base.InvalidField("facts[0].object", "is empty"),
    base.MemoryUnknown("demo"),
    base.MemoryExists("demo"),
    base.MemoryGone(7),
    base.FactUnknown("demo", "f"),
    base.VersionUnknown("demo", 9, 3),
    base.RequestReused("r"),
    base.Contradiction("facts[0]", "f", "Aria", "lives in", "Oslo"),
    base.CapacityReached(1.2, 1.0, 3),
    base.NotReady("its statistics are not prepared yet"),
    base.SleepInProgress("s", "nap"),
    base.SleepUnknown("s"),
    base.StaleWork("the weights moved"),
    base.Conflict("demo", 2, 3),
    base.EventReused("e"),
    base.Damaged("event 4: hash: is not as it was written"),
    base.LogCutShort(1, 3),
    base.ArtifactMissing("d" * 64),
    base.ArtifactCorrupt("d" * 64, "e" * 64),
    base.DigestMismatch(4, "a" * 64, "b" * 64),
    base.EventUnknown("FactForgotten", 2),
    base.SchemaMismatch("the database is newer"),
    base.ModelUnavailable("there is no model"),
    base.Unlearnable("its object has no tokens"),
    base.Unlearned((FactId("fact-1"),), 1, 6),
    base.Uncertified((FactId("fact-1"),), "The", 0.5, 0.7),
    harm.Harmful((FactId("fact-1"),), "it would change other answers"),
    harm.Contaminated(
        (FactId("fact-1"),), strangers=0.5, namesakes=0.0, untold=0.1, asked=8, limit=0.2, untold_limit=0.5
    ),
    harm.FalseFiresExceeded((FactId("fact-1"),), 170.0, 20.0, 180.0),
    harm.FalseFiresReached(180.0, 180.0),
    archive.ExportExists("adapter"),
    archive.NotExportable("LoRA adapter", 2, "it has no thresholds"),
    archive.ArchiveTooNew("demo.tar", 2, 1),
    archive.MemoryTaken("demo"),
    archive.EventsTaken("e", "demo"),
    archive.FactTaken("f", "was erased"),
    archive.ArchiveDamaged("events.jsonl", "its content is not as it was written"),
    conversation.ConversationUnknown("demo", "monday"),
    conversation.ConversationGone("monday", 9),
    conversation.NoUserFacts(),
    conversation.AnotherUser(),
    history.CheckpointUnknown("demo", "monday"),
    history.MomentUnknown("demo", "2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"),
    history.CheckpointTaken("demo", "monday", 3),
    history.FactRetracted("demo", "f", 3, "g"),
    history.FactRetracted("demo", "f", 3, None),
    history.FactHeld("f", "trial"),
    history.AsleepThen("demo", 9, 7),
    history.HalfRecorded("demo", 9, 8, 11),
    history.NothingToCompact("demo", "it has one adapter"),
    history.WordsErased("f"),
    service.rpc.status.OperationUnknown("operations/x"),
    service.rpc.status.TooManyOperations(2),
    service.rpc.status.ShuttingDown(),
    service.rpc.status.StoreUnavailable(),
    base.ParserUnavailable("spaCy has no English model"),
    base.DeviceUnavailable("cuda", "there is no driver"),
    base.ArtifactsUnreachable("s3://memories", "connection refused"),
    access.Unauthenticated("the token is unknown"),
    access.ForeignForm(),
    access.NotPermitted("write", "demo"),
    access.TooManyCalls(60, 1.5),
    access.TooManyBytes(1000, 1.5),
    access.TooManyFacts(6, 1.5),
    access.TooManyAnswers(2, 1.0),
)


def every_error(root: type[HypnogramError] = HypnogramError) -> Iterator[type[HypnogramError]]:
    """Those that the product defines; tests of other files may define their own."""
    if not root.__module__.startswith("tests"):
        yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_every_error_has_a_status_code_of_its_own_kind() -> None:
    assert set(every_error()) - ABSTRACT - OF_COMMANDS == set(CODES)
    assert {type(one) for one in EXAMPLES} == set(CODES)
    assert grpc.StatusCode.OK not in CODES.values()
    assert grpc.StatusCode.INTERNAL not in CODES.values()


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_status_says_why_in_words_and_for_programs(error: HypnogramError) -> None:
    status = status_of(error)
    info = error_details_pb2.ErrorInfo()

    assert status.code == CODES[type(error)].value[0]
    assert status.message == str(error)
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (error.reason, DOMAIN, error.metadata)


def test_an_invalid_field_is_named_by_its_path() -> None:
    bad = error_details_pb2.BadRequest()
    assert status_of(EXAMPLES[0]).details[1].Unpack(bad)
    assert [(one.field, one.description) for one in bad.field_violations] == [("facts[0].object", "is empty")]


def test_a_bug_leaves_a_correlation_id_and_nothing_else(demo: Running, capsys: pytest.CaptureFixture[str]) -> None:
    from service.log_setup import configure

    configure("json", "error")
    demo.parrot.broken = ZeroDivisionError("secret of the house")
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, "hello"))

    assert (failure.value.code, failure.value.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in str(failure.value)
    logged = capsys.readouterr().err
    assert failure.value.metadata["correlation"] in logged
    assert "secret of the house" in logged


def test_a_contradiction_names_the_live_fact(demo: Running) -> None:
    before = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    with pytest.raises(CallFailed) as failure:
        demo.client.add_facts(
            DEMO, [new_fact("Bo Lind", "lives in", "Oslo"), new_fact("Aria Voss", "lives in", "Oslo")]
        )

    assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "CONTRADICTION")
    assert failure.value.metadata["fact"] == before.results[0].fact.fact
    assert "facts[1]" in failure.value.fields
    assert len(list(demo.client.facts(DEMO))) == 1  # all or none


def test_a_reused_request_id_is_refused(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")], request_id="once")
    with pytest.raises(CallFailed) as failure:
        demo.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")], request_id="once")

    assert (failure.value.code, failure.value.reason) == ("ALREADY_EXISTS", "REQUEST_REUSED")


def test_a_full_memory_says_so_before_harm(server: Running) -> None:
    server.parrot.capacity = 0.015
    server.client.create_memory(DEMO)
    server.work()
    server.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    server.work()
    with pytest.raises(CallFailed) as failure:
        server.client.add_facts(DEMO, [new_fact(f"Bo Number{n}", "lives in", "Oslo") for n in range(50)])

    assert (failure.value.code, failure.value.reason) == ("RESOURCE_EXHAUSTED", "CAPACITY_REACHED")
    assert float(failure.value.metadata["key_occupancy"]) > 0.015
    assert len(list(server.client.facts(DEMO))) == 1
