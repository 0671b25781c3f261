"""Lets a test set up logging for itself and leave no trace of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def kept_logging() -> Iterator[None]:
    """Puts back root handlers, levels and structlog's configuration at the end."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    known = {name: logger.level for name, logger in _loggers().items()}
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers = handlers
        root.setLevel(level)
        for name, logger in _loggers().items():
            logger.setLevel(known.get(name, logging.NOTSET))


def _loggers() -> dict[str, logging.Logger]:
    return {
        name: logger for name, logger in logging.Logger.manager.loggerDict.items() if isinstance(logger, logging.Logger)
    }
