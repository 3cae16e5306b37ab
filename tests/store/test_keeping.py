"""What was written stays as it was: triggers refuse changes, and only a data key can be thrown away."""

from dataclasses import replace

import pytest
from sqlalchemy import Executable, select, text, update
from sqlalchemy.exc import DBAPIError

from core.errors.base import Damaged, FactUnknown
from core.ids import Digest, FactId
from store.database.schema import data_keys, events
from store.log.event_log import EventLog
from tests.core.samples import ARIA, added
from tests.store.given import DEMO, new, throw_key_away, told


class TestKeepingHistory:
    @pytest.mark.parametrize("statement", [update(events).values(actor="me"), events.delete()])
    def test_events_can_be_neither_changed_nor_removed(self, log: EventLog, statement: Executable) -> None:
        appended = log.append(DEMO, [told()], expected=0)

        with pytest.raises(DBAPIError, match="never changed"), log.engine.begin() as connection:
            connection.execute(statement)

        assert log.read() == list(appended)

    def test_events_can_not_be_replaced_unseen(self, log: EventLog) -> None:
        log.append(DEMO, [told()], expected=0)
        replacing = {
            "sqlite": "INSERT OR REPLACE INTO events SELECT * FROM events",
            "postgresql": "TRUNCATE events",
        }[log.engine.dialect.name]

        with pytest.raises(DBAPIError, match="never changed"), log.engine.begin() as connection:
            connection.execute(text(replacing))


class TestSealing:
    def test_a_facts_words_are_nowhere_in_clear(self, log: EventLog) -> None:
        log.append(DEMO, [new(added(ARIA))], expected=0)

        with log.engine.connect() as connection:
            row = connection.execute(select(events)).one()
        assert ARIA.subject.encode() not in repr(tuple(row)).encode()
        assert row.fact == ARIA.id

    def test_without_its_key_an_event_is_read_with_blank_words(self, log: EventLog) -> None:
        (before,) = log.append(DEMO, [new(added(ARIA))], expected=0)
        throw_key_away(log, ARIA.id)

        (after,) = log.read()
        assert after.hash == before.hash
        assert after.event == replace(
            added(ARIA),
            statement=replace(
                ARIA,
                id=FactId(""),
                subject="",
                relation="",
                object="",
                wordings=replace(
                    ARIA.wordings, statements=(), questions=(), answer="", probe_statements=(), probe_questions=()
                ),
            ),
            source=replace(added(ARIA).source, client=""),
            request_digest=Digest(""),
        )

    def test_an_erased_fact_is_not_written_about_again(self, log: EventLog) -> None:
        event = new(added(ARIA))
        log.append(DEMO, [event], expected=0)
        throw_key_away(log, ARIA.id)

        with pytest.raises(FactUnknown):
            log.append(DEMO, [new(added(ARIA))], expected=None)
        assert log.append(DEMO, [event], expected=None) == tuple(log.read())  # a retry

    def test_a_lost_key_is_damage_and_not_erasure(self, log: EventLog) -> None:
        log.append(DEMO, [new(added(ARIA))], expected=0)
        with log.engine.begin() as connection:
            connection.execute(data_keys.delete())

        with pytest.raises(Damaged, match=ARIA.id):
            log.read()

    def test_a_wrong_key_is_damage(self, log: EventLog) -> None:
        log.append(DEMO, [new(added(ARIA))], expected=0)
        with log.engine.begin() as connection:
            connection.execute(update(data_keys).values(key=bytes(32)))

        with pytest.raises(Damaged, match="do not open"):
            log.read()
