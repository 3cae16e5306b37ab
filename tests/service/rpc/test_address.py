"""A server without authentication is reached from other machines only where its operator allowed it."""

from __future__ import annotations

import json

import pytest

from core.errors.base import InvalidField
from service.log_setup import configure
from service.rpc.address import check_host
from service.settings import Settings
from tests.service.conftest import run_server

FAR = ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1", ""]
NEAR = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]


@pytest.mark.parametrize("host", FAR)
def test_a_host_that_others_reach_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(InvalidField, match=r"--insecure-host .*HYPNOGRAM_INSECURE_HOST") as refused:
        check_host(host, guarded=False, insecure=False)

    assert refused.value.field == "host"
    assert check_host(host, guarded=False, insecure=True)
    assert check_host(host, guarded=True, insecure=False)


@pytest.mark.parametrize("host", NEAR)
def test_a_host_that_this_machine_alone_reaches_needs_no_leave(host: str) -> None:
    assert not check_host(host, guarded=False, insecure=False)


def test_a_server_does_not_start_on_every_address_by_an_oversight(settings: Settings) -> None:
    with pytest.raises(InvalidField, match="without authentication"), run_server(_everywhere(settings, insecure=False)):
        pass


def test_a_server_warns_where_it_was_allowed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    with run_server(_everywhere(settings, insecure=True)):
        pass

    warnings = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"server.insecure"' in line]
    assert [line["address"] for line in warnings] == ["0.0.0.0:0"]
    assert "without authentication" in warnings[0]["why"]


def _everywhere(settings: Settings, insecure: bool) -> Settings:
    return settings.model_copy(update={"host": "0.0.0.0", "insecure_host": insecure})
