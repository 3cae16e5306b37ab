"""Every refusal has a status, every status its details, and a bug tells nothing."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2

import service.status
from core import errors, export_errors, history_errors
from core.errors import HypnogramError
from core.ids import FactId
from service.client import told
from service.failures import CallFailed
from service.status import CODES, DOMAIN, status_of
from tests.service.conftest import DEMO, Running

ABSTRACT = {HypnogramError, errors.Refused}  # never raised themselves

EXAMPLES: tuple[HypnogramError, ...] = (
    errors.InvalidField("facts[0].object", "is empty"),
    errors.MemoryUnknown("demo"),
    errors.MemoryExists("demo"),
    errors.MemoryGone(7),
    errors.FactUnknown("demo", "f"),
    errors.VersionUnknown("demo", 9, 3),
    errors.RequestReused("r"),
    errors.Contradiction("facts[0]", "f", "Aria", "lives in", "Oslo"),
    errors.CapacityReached(1.2, 1.0, 3),
    errors.NotReady("its statistics are not prepared yet"),
    errors.SleepInProgress("s", "nap"),
    errors.SleepUnknown("s"),
    errors.StaleWork("the weights moved"),
    errors.Conflict("demo", 2, 3),
    errors.EventReused("e"),
    errors.Damaged("event 4: hash: is not as it was written"),
    errors.LogCutShort(1, 3),
    errors.ArtifactMissing("d" * 64),
    errors.ArtifactCorrupt("d" * 64, "e" * 64),
    errors.DigestMismatch(4, "a" * 64, "b" * 64),
    errors.EventUnknown("FactForgotten", 2),
    errors.SchemaMismatch("the database is newer"),
    errors.ModelUnavailable("there is no model"),
    errors.Unlearnable("its object has no tokens"),
    errors.Unlearned((FactId("fact-1"),), 1, 6),
    export_errors.ExportExists("adapter"),
    export_errors.ArchiveTooNew("demo.tar", 2, 1),
    export_errors.MemoryTaken("demo"),
    export_errors.EventsTaken("e", "demo"),
    export_errors.FactTaken("f", "was erased"),
    export_errors.ArchiveDamaged("events.jsonl", "its content is not as it was written"),
    history_errors.CheckpointUnknown("demo", "monday"),
    history_errors.MomentUnknown("demo", "2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"),
    history_errors.CheckpointTaken("demo", "monday", 3),
    history_errors.FactRetracted("demo", "f", 3, "g"),
    history_errors.FactRetracted("demo", "f", 3, None),
    history_errors.FactHeld("f", "trial"),
    history_errors.AsleepThen("demo", 9, 7),
    history_errors.HalfRecorded("demo", 9, 8, 11),
    history_errors.NothingToCompact("demo", "it has one adapter"),
    history_errors.WordsErased("f"),
    service.status.OperationUnknown("operations/x"),
    service.status.TooManyOperations(2),
    service.status.ShuttingDown(),
    service.status.StoreUnavailable(),
    errors.DeviceUnavailable("cuda", "there is no driver"),
)


def every_error(root: type[HypnogramError] = HypnogramError) -> Iterator[type[HypnogramError]]:
    """Those that the product defines; tests of other files may define their own."""
    if not root.__module__.startswith("tests"):
        yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_every_error_has_a_status_code_of_its_own_kind() -> None:
    assert set(every_error()) - ABSTRACT == set(CODES)
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
    from service.telemetry import configure

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
    before = demo.client.add_facts(DEMO, [told("Aria Voss", "lives in", "Lisbon")])
    with pytest.raises(CallFailed) as failure:
        demo.client.add_facts(DEMO, [told("Bo Lind", "lives in", "Oslo"), told("Aria Voss", "lives in", "Oslo")])

    assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "CONTRADICTION")
    assert failure.value.metadata["fact"] == before.results[0].fact.fact
    assert "facts[1]" in failure.value.fields
    assert len(list(demo.client.facts(DEMO))) == 1  # all or none


def test_a_reused_request_id_is_refused(demo: Running) -> None:
    demo.client.add_facts(DEMO, [told("Aria Voss", "lives in", "Lisbon")], request_id="once")
    with pytest.raises(CallFailed) as failure:
        demo.client.add_facts(DEMO, [told("Bo Lind", "lives in", "Oslo")], request_id="once")

    assert (failure.value.code, failure.value.reason) == ("ALREADY_EXISTS", "REQUEST_REUSED")


def test_a_full_memory_says_so_before_harm(server: Running) -> None:
    server.parrot.capacity = 0.015
    server.client.create_memory(DEMO)
    server.work()
    server.client.add_facts(DEMO, [told("Aria Voss", "lives in", "Lisbon")])
    server.work()
    with pytest.raises(CallFailed) as failure:
        server.client.add_facts(DEMO, [told(f"Bo Number{n}", "lives in", "Oslo") for n in range(50)])

    assert (failure.value.code, failure.value.reason) == ("RESOURCE_EXHAUSTED", "CAPACITY_REACHED")
    assert float(failure.value.metadata["crowding"]) > 0.015
    assert len(list(server.client.facts(DEMO))) == 1
