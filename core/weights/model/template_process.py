"""A process that fills in chat templates, so that one that never ends, or eats all memory, is ended with the process.

Started by `templates.py`. Reads one JSON object a line and answers each with one: `text`; `refused`, where
the template itself objects; or `failed`. A template that computes for too long ends the process by SIGPROF.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

SECONDS = 2.0  # of computing for one conversation; ordinary ones take milliseconds
BYTES = 512 * 1024**2  # of memory, beyond what the process has when it begins
CHARACTERS = 16 * 1024**2  # of what a template may make of a conversation


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    def filled_in(asked: dict[str, Any]) -> dict[str, str]:
        try:
            (text,), _ = render_jinja_template(
                [asked["messages"]],
                chat_template=asked["template"],
                add_generation_prompt=asked["add_generation_prompt"],
                **asked["tokens"],
            )
        except TemplateError as error:
            return {"refused": str(error)}
        except MemoryError:
            return {"failed": f"it takes more than {BYTES // 1024**2} MiB of memory"}
        except Exception as error:  # whatever a template does wrong
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
        if len(text) > CHARACTERS:
            return {"failed": f"it makes {len(text)} characters of the conversation"}
        return {"text": text}

    _limit_memory()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        answer = filled_in(asked)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _limit_memory() -> None:
    """Where the system does not say how much the process has, it stays without a limit."""
    try:
        with open("/proc/self/statm") as statm:
            has = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + BYTES, has + BYTES))
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    main()
