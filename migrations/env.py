"""How alembic reaches the database: through the connection of `store.database.engine`, or by `alembic -x db=URL`."""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from store.database.engine import connect
from store.database.schema import metadata


def migrate_on(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def migrate() -> None:
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        migrate_on(given)
        return
    url = context.get_x_argument(as_dictionary=True).get("db") or context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise CommandError("which database? say alembic -x db=URL ...")
    engine = connect(str(url))
    with engine.begin() as connection:
        migrate_on(connection)
    engine.dispose()


migrate()
