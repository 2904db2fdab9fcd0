"""Log lines: structured, one per event, to standard error."""

from __future__ import annotations

import logging
import sys

import structlog


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
