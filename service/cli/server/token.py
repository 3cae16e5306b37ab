"""`hypnogram token create | list | revoke`: works on the database itself, so that no server needs an open door."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli import options
from service.cli.output import UsageProblem, print_json, print_table, print_text

if TYPE_CHECKING:
    from store.database.tokens import Token, Tokens

DAY = 24 * 3600.0  # seconds

app = typer.Typer(help="Tokens that let clients in. Once there is one, every call needs one.", no_args_is_help=True)


@app.command("create")
def create(
    *,
    memory: Annotated[
        str, typer.Option("--memory", "-m", help="Memory that it is for; 'lab-*' for all that begin so, '*' for all.")
    ],
    may: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read: chat and look; write: add and retract facts, sleep, too; admin: create, delete, too."),
    ],
    actor: Annotated[str, typer.Option(help="Who acts, in the log. Default: the id of the token.")] = "",
    days: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="Days for which it lasts. Default: until it is revoked.")
    ] = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    json: options.AsJson = False,
) -> None:
    """Create a token and print it. It is shown this once, because the database has its hash alone."""
    from service.guard.rights import check_pattern

    check_pattern(memory)
    if len(actor) > 200 or not actor.isprintable():
        raise UsageProblem("--actor: it is printable text of at most 200 characters")
    with _tokens(db, artifacts) as tokens:
        token, text = tokens.create(actor=actor, memory=memory, may=may, seconds=None if days is None else days * DAY)
    if json:
        print_json({"token": text, **_as_dict(token)})
        return
    print_text(text)
    sys.stderr.write(f"hypnogram: keep it, it is not shown again; HYPNOGRAM_TOKEN sends it ({_named(token)})\n")


@app.command("list")
def list_(
    *,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    json: options.AsJson = False,
) -> None:
    """List tokens in the order created, revoked ones included."""
    with _tokens(db, artifacts) as tokens:
        known = tokens.all()
    if json:
        print_json([_as_dict(token) for token in known])
        return
    rows = (
        (token.id, token.actor, token.memory, token.may, _state(token), _time(token.created), _time(token.expires))
        for token in known
    )
    print_table("", ("id", "actor", "memory", "may", "state", "created", "expires"), rows)


@app.command("revoke")
def revoke(
    *,
    token: Annotated[str, typer.Argument(help="Id of the token, as `hypnogram token list` has it.")],
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    json: options.AsJson = False,
) -> None:
    """Revoke a token for good; its next call is refused."""
    with _tokens(db, artifacts) as tokens:
        revoked = tokens.revoke(token)
    if revoked is None:
        raise UsageProblem(f"there is no token {token!r}; see `hypnogram token list`")
    if json:
        print_json(_as_dict(revoked))
    else:
        print_text(f"revoked token {_named(revoked)}")


@contextmanager
def _tokens(db: str | None, artifacts: options.ArtifactFolder) -> Iterator[Tokens]:
    from service.app.store import open_store
    from store.database.tokens import Tokens

    with open_store(options.settings(database_url=db, artifact_folder=artifacts)) as store:
        yield Tokens(store.log.engine)


def _as_dict(token: Token) -> dict[str, object]:
    return asdict(token) | {"state": _state(token)}


def _named(token: Token) -> str:
    return f"{token.id} of {token.actor}: {token.may} {token.memory}"


def _state(token: Token) -> str:
    if token.revoked is not None:
        return "revoked"
    return "valid" if token.valid() else "expired"


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
