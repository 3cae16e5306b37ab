"""Tokens let in whoever has their text, until they are revoked or expire; the database has hashes alone."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from store.database.schema import tokens as table
from store.database.tokens import Tokens
from store.log.event_log import EventLog


@pytest.fixture
def tokens(log: EventLog) -> Tokens:
    return Tokens(log.engine)


def test_a_token_is_found_by_its_text_alone(tokens: Tokens) -> None:
    token, text = tokens.create(actor="ann", memory="demo", may="read")
    other = tokens.create(actor="bo", memory="demo", may="read")[1]

    assert tokens.find(text) == token
    assert tokens.find(text.replace(text[-4:], "AAAA")) is None
    assert tokens.find("_".join((*text.split("_")[:2], other.split("_", 2)[2]))) is None
    assert [tokens.find(wrong) for wrong in ("", "hyp", "hyp__", "a_b_c", token.id, f"hyp_{token.id}_")] == [None] * 6


def test_its_text_is_not_stored(tokens: Tokens, log: EventLog) -> None:
    token, text = tokens.create(actor="ann", memory="demo", may="read")

    with log.engine.connect() as connection:
        (row,) = connection.execute(select(table)).all()
    secret = text.split("_", 2)[2]
    assert not any(secret in str(value) for value in row)
    assert token.id in str(row)


def test_a_revoked_token_lets_nobody_in_and_keeps_the_door_shut(tokens: Tokens) -> None:
    assert not tokens.any()
    token, text = tokens.create(actor="ann", memory="demo", may="read")
    revoked = tokens.revoke(token.id)

    assert tokens.find(text) is None
    assert tokens.any()
    assert revoked is not None
    assert revoked.revoked is not None
    assert tokens.revoke(token.id) == revoked  # when it was revoked first
    assert tokens.revoke("nobody") is None


def test_an_expired_token_lets_nobody_in(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = tokens.create(actor="ann", memory="demo", may="read", seconds=100)
    assert tokens.find(text)

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 101)
    assert tokens.find(text) is None


def test_tokens_are_listed_in_order(tokens: Tokens) -> None:
    ids = [tokens.create(actor="", memory="demo", may="read")[0].id for _ in range(3)]

    assert [token.id for token in tokens.all()] == ids
    assert [token.actor for token in tokens.all()] == ids
