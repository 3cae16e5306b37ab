"""`hypnogram`: registers the commands, and turns failures into a message and an exit status."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from core.errors.base import HypnogramError
from hypnogram.client import CallFailed
from service.cli.facts import add, chat, conversation, tell
from service.cli.history import checkpoint, export_import, fork, lineage, log, replay_verify
from service.cli.memories import memory, model, prepare, sleep, status
from service.cli.output import UsageProblem, fail, print_text
from service.cli.sections import LOOK, MAINTAIN, SERVE, TALK, Sections
from service.cli.server import backup, bench, serve, token, up


def _version(asked: bool) -> None:
    if asked:
        print_text(f"hypnogram {metadata.version('hypnogram')}")
        raise typer.Exit


app = typer.Typer(
    name="hypnogram",
    cls=Sections,
    help="A language model with persistent memories in its weights, and the history of each.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", rich_help_panel=SERVE)(up.up)
app.command("serve", rich_help_panel=SERVE)(serve.serve)
app.add_typer(token.app, name="token", rich_help_panel=SERVE)
app.command("executor", rich_help_panel=SERVE)(serve.executor)
app.command("demo", rich_help_panel=SERVE)(serve.demo)
app.add_typer(memory.app, name="memory", rich_help_panel=MAINTAIN)
app.add_typer(model.app, name="model", rich_help_panel=MAINTAIN)
app.command("prepare", rich_help_panel=MAINTAIN)(prepare.prepare)
app.command("tell", rich_help_panel=TALK)(tell.tell)
app.add_typer(add.app, name="fact", rich_help_panel=TALK)
app.add_typer(conversation.app, name="conversation", rich_help_panel=TALK)
app.add_typer(checkpoint.app, name="checkpoint", rich_help_panel=MAINTAIN)
app.command("status", rich_help_panel=LOOK)(status.status)
app.command("sleep", rich_help_panel=TALK)(sleep.sleep)
app.command("nap", rich_help_panel=TALK)(sleep.nap)
app.command("sleeps", rich_help_panel=LOOK)(sleep.sleeps)
app.command("lineage", rich_help_panel=LOOK)(lineage.lineage)
app.command("log", rich_help_panel=LOOK)(log.log)
app.command("fork", rich_help_panel=MAINTAIN)(fork.fork)
app.command("diff", rich_help_panel=LOOK)(fork.diff)
app.command("replay", rich_help_panel=MAINTAIN)(replay_verify.replay)
app.command("verify", rich_help_panel=MAINTAIN)(replay_verify.verify)
app.command("compact", rich_help_panel=MAINTAIN)(replay_verify.compact)
app.command("backup", rich_help_panel=MAINTAIN)(backup.backup)
app.command("restore", rich_help_panel=MAINTAIN)(backup.restore)
app.command("export", rich_help_panel=MAINTAIN)(export_import.export)
app.command("import", rich_help_panel=MAINTAIN)(export_import.import_)
app.command("report", rich_help_panel=LOOK)(export_import.report)
app.command("chat", rich_help_panel=TALK)(chat.chat)
app.command("complete", rich_help_panel=TALK)(chat.complete)
app.add_typer(bench.app, name="bench", rich_help_panel=SERVE)


@app.callback()
def hypnogram(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file of settings (HYPNOGRAM_CONFIG).")
    ] = None,
) -> None:
    """A language model with persistent memories in its weights, and the history of each."""
    if config is not None:
        os.environ["HYPNOGRAM_CONFIG"] = str(config.absolute())  # which processes that commands start read as well


def main() -> None:
    """Runs the command line; exits with 1 after a failure and with 2 after wrong usage, with one line that says why."""
    try:
        app()
    except UsageProblem as problem:
        fail(problem, 2)
    except (HypnogramError, CallFailed) as error:
        fail(error, 1)
    except UnicodeEncodeError as error:
        if error.encoding != "utf-8":  # the terminal cannot show the output
            raise
        fail(UsageProblem(f"{error.object!a} is not valid UTF-8; write it in UTF-8"), 2)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
