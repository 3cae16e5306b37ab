"""Verification of everything, over the wire: what is sound is counted, the first fault is named."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from google.longrunning import operations_pb2
from hypnogram.v1 import history_pb2

from core.decide.commands import RecordInjection
from core.state.work import next_work
from service.app import verification
from service.app.repository import MemoryRepository
from service.executor.editor import Editor
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from store.log.verify import Report, named_artifacts, verify_log
from tests.patience import PATIENCE
from tests.prepared import CAUSE, DEMO, state_of, tell, work
from tests.service.conftest import Running
from tests.service.rpc.history.test_forks import TRIAL, lived, served

__all__ = ["lived", "served"]


def test_a_sound_log_is_counted(served: Running) -> None:
    told: list[history_pb2.VerifyLogMetadata] = []
    found = served.client.verify_log(told.append)
    events = served.store.log.read()

    assert not found.HasField("fault")
    assert found.events == len(events) == served.store.log.position()
    assert found.artifacts == len({artifact for one in events for artifact in named_artifacts(one.event)})
    assert found.weights == 3  # the clean weights and two edits
    assert told[0].HasField("started_at")


def test_what_a_fork_shares_is_rebuilt_once(served: Running, bases: BaseModels) -> None:
    served.client.fork(TRIAL, DEMO, "monday")
    tell(served.store, ("Cy Ames", "lives in", "Oslo"), memory=TRIAL)
    work(served.store, bases, memory=TRIAL)

    assert served.client.verify_log().weights == 3 + 1


def test_weights_can_be_left_out(served: Running) -> None:
    found = served.client.verify_log(skip_weights=True)

    assert (found.events, found.weights) == (served.store.log.position(), 0)


@pytest.mark.parametrize("skip", [False, True])
def test_an_altered_artifact_is_the_fault_of_the_first_event_that_names_it(served: Running, skip: bool) -> None:
    edit = list(state_of(served.store).edits.values())[-1]
    (at,) = (one.position for one in served.store.log.read() if edit.delta in named_artifacts(one.event))
    file = next(path for path in served.settings.artifact_folder.rglob("*") if path.name.startswith(edit.delta))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    found = served.client.verify_log(skip_weights=skip)

    assert (found.fault.what, found.fault.position) == ("artifact", at)
    assert edit.delta in found.fault.message
    assert (found.events, found.weights) == (at - 1, 0)


def test_weights_that_were_recorded_wrongly_are_the_fault_of_their_event(served: Running, bases: BaseModels) -> None:
    tell(served.store, ("Cy Ames", "lives in", "Oslo"))
    state = state_of(served.store)
    owed = next_work(state)
    assert owed is not None
    assert state.created is not None
    editor_ = Editor(
        bases.clone(state.created),
        state.created,
        served.store.artifacts,
        DeltaStore(served.store.artifacts, served.store.log.keyring),
    )
    result = editor_.perform(owed, state)  # type: ignore[arg-type]
    assert isinstance(result, RecordInjection)
    wrong = RecordInjection(edit=replace(result.edit, weights_after=result.edit.delta))
    MemoryRepository(served.store.log, served.store.snapshots).execute(DEMO, lambda _: wrong, CAUSE)
    found = served.client.verify_log()
    (edit,) = served.client.events(DEMO, state.version, state.version + 1)

    assert (found.fault.what, found.fault.position) == ("weights", edit.position)
    assert DEMO in found.fault.message
    assert found.events == served.store.log.position()
    assert not served.client.verify_log(skip_weights=True).HasField("fault")


def test_a_verification_can_be_cancelled(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def late(*args: Any, **more: Any) -> Report:  # or it would be done before anybody could ask
        assert asked.wait(PATIENCE)
        return verify_log(*args, **more)

    monkeypatch.setattr(verification, "verify_log", late)
    operations = served.client.stubs.operations
    started = served.client.stubs.history.VerifyLog(history_pb2.VerifyLogRequest())
    operations.CancelOperation(operations_pb2.CancelOperationRequest(name=started.name))
    asked.set()
    ended = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=started.name))

    assert (ended.done, ended.error.code) == (True, 1)  # CANCELLED
