"""Renders chat templates in a process beside this one, because a template is a program that came with a model.

The sandbox of transformers keeps it from the machine, but not from computing without end. Here that ends the process
(`core/weights/model/template_process.py`), and the caller gets an error that says so.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from core.errors.base import ModelUnavailable
from core.weights.model.template_process import SECONDS

LINES = (
    "{% for message in messages %}{{ {'user': 'Question: ', 'assistant': 'Answer:\\n'}.get(message['role'], '') "
    "+ message['content'] + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'Answer:\\n' }}{% endif %}"
)  # of a model without a chat template: questions and answers a line each, so that a line break ends an answer
PATIENCE = 1.0  # seconds until a process that does not end is killed
PROCESS = Path(__file__).with_name("template_process.py")


def fill_in(tokenizer: Any, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
    """Returns `messages` in the chat template of `tokenizer`, by default up to the model's reply.

    Raises:
        TemplateError: the template does not take such a conversation.
        ModelUnavailable: the template fails, or does not come to an end.
    """
    request = {
        "template": tokenizer.get_chat_template(),
        "messages": messages,
        "tokens": tokenizer.special_tokens_map,
        "add_generation_prompt": add_generation_prompt,
    }
    answer = _templates.ask(request)
    if "refused" in answer:
        raise TemplateError(answer["refused"])
    if "failed" in answer:
        name = tokenizer.name_or_path
        problem = f"the chat template of {name!r} cannot be filled in: {answer['failed']}; mend its chat_template.jinja"
        raise ModelUnavailable(problem, model=name)
    return str(answer["text"])


def start() -> None:
    """Starts the process ahead of its first use, which takes a second."""
    _templates.start()


class _Process:
    """A process that is started again whenever it has ended; it renders one template at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._lock:
            self._running()

    def ask(self, request: Mapping[str, Any]) -> dict[str, str] | None:
        """What it answers; None when it had computed for too long and was ended."""
        with self._lock:
            for _ in range(2):  # it may have been ended from outside meanwhile
                answer = self._answer(request)
                if answer is not None:
                    return answer
                status = self._end()
                if status == -signal.SIGPROF:
                    return None
            return {"failed": f"the process that does so ended with status {status}"}

    def close(self) -> None:
        with self._lock:
            self._end()

    def _answer(self, request: Mapping[str, Any]) -> dict[str, str] | None:
        """Returns its answer; None when it has ended.

        A fork of this process has the same pipes. One that was killed may have left an answer in them, which is passed
        over because it names another request.
        """
        process, name = self._running(), os.urandom(8).hex()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({**request, "name": name}, default=str).encode() + b"\n")
            process.stdin.flush()
            while (line := process.stdout.readline()).endswith(b"\n"):
                if (answer := dict(json.loads(line))).pop("name") == name:
                    return answer
        except OSError:  # it has ended
            pass
        return None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, "-P", str(PROCESS)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        return self._process

    def _end(self) -> int:
        """Ends the process and returns its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()  # the end of its input ends it, unless it computes
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()


class _Templates:
    """Two processes: one for templates that always ended, one for the others, which then delay only each other."""

    def __init__(self) -> None:
        self._good, self._bad = _Process(), _Process()
        self._endless: set[str] = set()

    def start(self) -> None:
        self._good.start()

    def ask(self, request: Mapping[str, Any]) -> dict[str, str]:
        template = request["template"]
        answer = (self._bad if template in self._endless else self._good).ask(request)
        if answer is not None:
            return answer
        self._endless.add(template)
        return {"failed": f"it did not come to an end within {SECONDS:g} s of computing"}

    def close(self) -> None:
        self._good.close()
        self._bad.close()


_templates = _Templates()
atexit.register(_templates.close)
