"""`hypnogram`: the commands put together, and what happens when one fails."""

from __future__ import annotations

import typer

from core.errors import HypnogramError
from service.cli import ask, bench, carry, checkpoint, fact, fork, history, lineage, memory, proof, run, sleep, status
from service.cli.output import UsageProblem, fail
from service.failures import CallFailed

app = typer.Typer(
    name="hypnogram",
    help="A language model with persistent memories in its weights, and the history of each.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(run.serve)
app.command("executor")(run.executor)
app.command("demo")(run.demo)
app.add_typer(memory.app, name="memory")
app.add_typer(fact.app, name="fact")
app.add_typer(checkpoint.app, name="checkpoint")
app.command("status")(status.status)
app.command("sleep")(sleep.sleep)
app.command("nap")(sleep.nap)
app.command("sleeps")(sleep.sleeps)
app.command("lineage")(lineage.lineage)
app.command("log")(history.log)
app.command("fork")(fork.fork)
app.command("diff")(fork.diff)
app.command("replay")(proof.replay)
app.command("verify")(proof.verify)
app.command("compact")(proof.compact)
app.command("export")(carry.export)
app.command("import")(carry.import_)
app.command("report")(carry.report)
app.command("chat")(ask.chat)
app.command("complete")(ask.complete)
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Runs the command line; exits with 1 after a failure and with 2 after wrong usage, saying why in one line."""
    try:
        app()
    except UsageProblem as problem:
        fail(problem, 2)
    except (HypnogramError, CallFailed) as error:
        fail(error, 1)
    except UnicodeEncodeError as error:
        if error.encoding != "utf-8":  # a terminal that cannot show what is to be printed
            raise
        fail(UsageProblem(f"{error.object!a} is no text in UTF-8; say it in UTF-8"), 2)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
