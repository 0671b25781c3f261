"""One line per log record for every library in the process: JSON on stderr, tied to its call, free of secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from services.application.correlation import current_correlation_id, current_traceparent

_MASK = "***"
_URL_PASSWORD = re.compile(r"(?<=://)([^\s:/@\"\\]*):([^\s/@\"\\]+)@")
_BEARER = re.compile(r"(?i)\bbearer\s+(?:\\.|[^\s\"\\])+")
# What PostgreSQL adds to an error: the row that it refuses, and with it what people wrote.
_ROW_REFUSED = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above|During handling)|\n\[SQL: |\Z)", re.DOTALL)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
# Shorter texts occur by chance; masking them would only garble the log.
_MIN_SECRET = 6

_QUIET: Mapping[str, str] = {
    # Say for each statement or request what we log ourselves.
    "sqlalchemy.engine": "WARNING",
    "aiosqlite": "WARNING",
    "httpx": "WARNING",
    # Lists its own parts at every start, and each step of the first.
    "alembic": "WARNING",
    "asyncio": "INFO",
}
# gRPC's word on a header that is no UTF-8, at level ERROR with its value: any stranger's text, or a credential.
_GRPC_ON_HEADERS = "Invalid encoding on "


def configure_logging(
    *,
    level: str,
    levels: Mapping[str, str] | None = None,
    log_format: Literal["json", "console"] = "json",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Route structlog and the standard library's logging to `stream` (stderr); may be called again.

    `levels` sets components apart from `level`; `secrets` never appear in a line, wherever it comes from.
    """
    output = stream or sys.stderr
    before: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
        structlog.processors.format_exc_info,
        _leave_out_rows,
    ]
    render: list[Processor] = (
        [_render_json] if log_format == "json" else [_escape_controls, structlog.dev.ConsoleRenderer(colors=False)]
    )
    mask = _Mask(secrets)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Where and how lines go is the handler's business, so another call of this function still changes it for all.
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render, mask],
        )
    )
    # Ours are no texts yet.
    handler.addFilter(lambda record: not (isinstance(record.msg, str) and record.msg.startswith(_GRPC_ON_HEADERS)))
    # What the standard library would find out for each record, and no line of ours says: half of what a line costs.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, chosen in {**_QUIET, **(levels or {})}.items():
        logging.getLogger(name).setLevel(chosen)
    # Warnings of Python code belong into the log, too.
    logging.captureWarnings(True)


def _add_correlation(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    correlation_id = current_correlation_id()
    if correlation_id is not None:
        event.setdefault("correlation_id", correlation_id)
    traceparent = current_traceparent()
    if traceparent is not None:
        event.setdefault("trace_id", traceparent.split("-")[1])
    return event


def _leave_out_rows(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = _ROW_REFUSED.sub("\nDETAIL:  (left out)", str(event["exception"]))
    return event


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Lone surrogates and huge integers: slower, but a line is never lost.
        return json.dumps(event, default=repr)


def _escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """For terminals: nothing in a value can move the cursor or begin a line, except in our own tracebacks."""
    return {
        key: (value.translate(_CONTROL) if key == "exception" else value.translate(_CONTROL).replace("\n", "\\n"))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


class _Mask:
    """The last step: whatever a text came from, known secrets and the shapes of credentials are struck out of it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Also as they look within a JSON string; longest first, in case one holds another.
        whole = [secret for secret in secrets if len(secret) >= _MIN_SECRET]
        forms = {*whole, *(json.dumps(secret)[1:-1] for secret in whole)}
        forms |= {orjson.dumps(secret)[1:-1].decode() for secret in whole}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, logger: WrappedLogger, method: str, line: Any) -> str:
        """The line without them."""
        text = str(line)
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        # Looking for the mark first takes a twentieth of the search, and hardly any line has one.
        if "://" in text:
            text = _URL_PASSWORD.sub(rf"\1:{_MASK}@", text)
        if "bearer" in text.lower():
            text = _BEARER.sub(f"Bearer {_MASK}", text)
        return text
