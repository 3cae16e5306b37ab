"""Sets up logging: structlog events named noun.verb, each with its call; text on a terminal, JSON elsewhere.

A log that cannot be written, because its reader has gone or its disk is full, loses lines but stops no work.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
UNWRITABLE = (OSError, ValueError)  # a broken pipe, a full disk; a stream that was closed


def configure(log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Sets up structlog for this process; the arguments are the settings of the same names."""
    stream = stream or sys.stderr
    text = log_format == "text" or (log_format == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if text:
        # plain, because other tracebacks show the variables of each frame: clients' words and tokens
        formatter = structlog.dev.plain_traceback
        processors = [*shared, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=formatter)]
    else:
        processors = [*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[log_level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Forgiving(stream))),
        cache_logger_on_first_use=False,
    )


class _Forgiving:
    """Writes to `stream` and drops what cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(*UNWRITABLE):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(*UNWRITABLE):
            self._stream.flush()
