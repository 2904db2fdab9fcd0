"""Log lines: structured, one per event, to standard error."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog

from runtime.clock import Clock


def set_up_logs(process: str, *, level: str = "INFO") -> None:
    """Send log lines of at least `level` to standard error; each carries the process's name."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            lambda _logger, _name, event: {"process": process, **event},
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "process", "event"], drop_missing=True
            )
            if not sys.stderr.isatty()
            else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


class _LineFile(io.StringIO):
    """A file for whoever writes lines, each of which goes to `take_line`."""

    def __init__(self, take_line: Callable[[str], None]) -> None:
        super().__init__()
        self._take_line = take_line

    def write(self, text: str, /) -> int:
        """Pass on what is not empty."""
        if text.strip():
            self._take_line(text.rstrip("\n"))
        return len(text)


def send_logs_to(
    write: Callable[[str], None],
    clock: Clock,
    *,
    level: str = "INFO",
    word: Callable[[str], str] = str,
) -> None:
    """Give each log line of at least `level` to `write`, with the time of `clock`.

    What a machine or a run of Python decides stands in none of them: an error's traceback is left
    out, its text stays. `word` may change what is said, before a line is made of it.
    """

    def plain(_logger: Any, _name: str, event: Any) -> Any:
        error = event.pop("exc_info", None)
        if error:
            told = error if isinstance(error, BaseException) else sys.exc_info()[1]
            event["error"] = repr(told)
        said = {key: word(v) if isinstance(v, str) else v for key, v in event.items()}
        return {"at_ns": clock.now_ns(), **said}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            plain,
            structlog.processors.LogfmtRenderer(
                key_order=["at_ns", "level", "event"], sort_keys=True, drop_missing=True
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(file=_LineFile(write)),
        cache_logger_on_first_use=False,
    )
