"""Renders chat templates in a process of its own, so that a template that never ends or takes all memory can be ended.

`templates.py` starts it. It reads a JSON object per line and writes one for each: `text`; `refused`, where the template
itself raises; or `failed`; and the `name` of the request. A template that computes for too long ends the process by
SIGPROF.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

SECONDS = 2.0  # of CPU time for a conversation; ordinary ones take milliseconds
BYTES = 512 * 1024**2  # of memory, beyond what the process has when it begins
CHARACTERS = 16 * 1024**2  # most that a template may make of a conversation


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # because what libraries print must not be taken for an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    def rendered(request: dict[str, Any]) -> dict[str, str]:
        try:
            (text,), _ = render_jinja_template(
                [request["messages"]],
                chat_template=request["template"],
                add_generation_prompt=request["add_generation_prompt"],
                **request["tokens"],
            )
        except TemplateError as error:
            return {"refused": str(error)}
        except MemoryError:
            return {"failed": f"it takes more than {BYTES // 1024**2} MiB of memory"}
        except Exception as error:  # a template can raise anything
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
        if len(text) > CHARACTERS:
            return {"failed": f"it makes {len(text)} characters of the conversation"}
        return {"text": text}

    _limit_memory()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        answer = rendered(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(answer | {"name": request["name"]}) + "\n")
        answers.flush()


def _limit_memory() -> None:
    """Limits memory to what the process has now plus `BYTES`; leaves it unlimited where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            has = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + BYTES, has + BYTES))
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    main()
