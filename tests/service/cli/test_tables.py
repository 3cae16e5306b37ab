"""Tables of facts can be read and copied from on a terminal of ordinary width."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypnogram.v1 import facts_pb2

from service.app.event_summaries import summary
from service.cli.facts import add
from service.cli.output import status_words
from tests.core.samples import ARIA, added

ID = "0198a7c2-5f1e-7a31-9d56-3f2b8c41e07d"


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_an_id_stays_whole_and_a_long_reason_is_shortened(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    parked = facts_pb2.Fact(
        fact=ID,
        subject="Aria Voss",
        relation="lives in",
        object="Lisbon",
        status=facts_pb2.STATUS_PARKED,
        failure="the model does not say the object " * 6 + "at the very end",
    )

    add._table([parked])

    assert ID in capsys.readouterr().out
    assert len(status_words(parked, short=True)) == len("parked: ") + 40
    assert status_words(parked).endswith("at the very end")


def test_an_erased_fact_is_called_erased(capsys: pytest.CaptureFixture[str]) -> None:
    add._table([facts_pb2.Fact(fact=ID, status=facts_pb2.STATUS_WITHDRAWN, erased=True)])

    assert "(erased)" in capsys.readouterr().out
    assert summary(added(replace(ARIA, subject="", relation="", object=""))) == "told: (erased)"
