"""The server as a whole: health, reflection, settings, stopping."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from core.errors.base import InvalidField, SchemaMismatch
from service.rpc.server import SERVICES
from service.settings import Settings, cache_home, data_home
from tests.patience import eventually
from tests.service.conftest import DEMO, Running, run_server


def test_a_server_without_memories_is_serving(server: Running) -> None:
    eventually(server.client.serving)
    assert all(server.client.serving(service) for service in SERVICES)


def test_a_service_nobody_knows_is_not_serving(server: Running) -> None:
    assert not server.client.serving("hypnogram.v1.Nothing")


def test_reflection_names_every_service(server: Running) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.client.stubs.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]))

    names = {one.name for one in answer.list_services_response.service}
    assert names >= {*SERVICES, "grpc.health.v1.Health", "google.longrunning.Operations"}


def test_two_servers_cannot_share_a_port(server: Running) -> None:
    port = int(server.address.rpartition(":")[2])
    taken = server.settings.model_copy(update={"port": port})
    with pytest.raises(InvalidField, match="cannot be listened on"), run_server(taken):
        pass


def test_a_stopped_server_answers_no_more(server: Running) -> None:
    eventually(server.client.serving)
    server.stop()

    assert not server.client.serving(timeout=1)


def test_a_database_of_a_newer_schema_is_refused(settings: Settings) -> None:
    from sqlalchemy import create_engine, text

    with run_server(settings):
        pass
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
    engine.dispose()

    with pytest.raises(SchemaMismatch, match="upgrade hypnogram"), run_server(settings):
        pass


def test_an_unreadable_event_is_data_loss(demo: Running) -> None:
    from sqlalchemy import text

    with demo.store.log.engine.begin() as connection:
        for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("UPDATE events SET type = 'FactForgotten' WHERE position = 2"))
    with pytest.raises(grpc.RpcError) as failure:
        _read_raw(demo)

    assert failure.value.code() == grpc.StatusCode.DATA_LOSS


def _read_raw(demo: Running) -> None:
    from hypnogram.v1 import history_pb2

    for _ in demo.client.stubs.history.ReadEvents(history_pb2.ReadEventsRequest(memory=DEMO)):
        pass


def test_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    settings = Settings()
    assert data_home() == tmp_path / "data" / "hypnogram"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/hypnogram/hypnogram.db"
    assert settings.snapshot_folder == cache_home() / "snapshots"


def test_the_environment_sets_settings_and_addresses_may_be_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPNOGRAM_HOST", "::1")
    monkeypatch.setenv("HYPNOGRAM_EXECUTOR", "off")

    assert Settings(port=1).address == "[::1]:1"
    assert not Settings().executor
