"""The log: one valid JSON line a record, whatever is in it, and no secrets."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.telemetry.logs import configure_logging
from services.application.correlation import bind_correlation
from tests.support.logging_state import kept_logging

SECRET = 'p"ss/wörd-71c3'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with kept_logging():
        stream = io.StringIO()
        configure_logging(level="INFO", levels={"quiet": "ERROR", "loud": "DEBUG"}, secrets=[SECRET], stream=stream)
        yield stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_records_and_those_of_libraries_look_the_same(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("server.x").info("happened", count=3)
    logging.getLogger("library").warning("careful: %s", "now")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["count"], ours["level"], ours["logger"]) == ("happened", 3, "info", "server.x")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful: now", "warning", "library")
    assert ours.keys() - {"count"} == theirs.keys() == {"event", "level", "logger", "timestamp"}


def test_lines_of_a_call_carry_its_id(stream: io.StringIO) -> None:
    def work() -> None:
        bind_correlation("call-1", None)
        structlog.stdlib.get_logger("server.x").info("ours")
        logging.getLogger("library").info("theirs")

    contextvars.copy_context().run(work)
    assert [line["correlation_id"] for line in lines(stream)] == ["call-1", "call-1"]


def test_lines_of_a_traced_call_carry_its_trace(stream: io.StringIO) -> None:
    def work() -> None:
        bind_correlation("call-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        logging.getLogger("library").info("theirs")

    contextvars.copy_context().run(work)
    assert [line["trace_id"] for line in lines(stream)] == ["4bf92f3577b34da6a3ce929d0e0e4736"]


def test_the_row_that_a_database_refuses_is_left_out(stream: io.StringIO) -> None:
    refused = "no good row\nDETAIL:  Failing row contains (what they\nwrote)."
    try:
        try:
            raise ValueError(refused)
        except ValueError as error:
            raise RuntimeError(f"{error}\n[SQL: INSERT]") from error
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(stream)
    told = str(line["exception"])
    assert "what they" not in told
    assert "wrote" not in told
    assert told.count("no good row\nDETAIL:  (left out)\n") == 2
    assert told.endswith("[SQL: INSERT]")


def test_each_component_has_its_level(stream: io.StringIO) -> None:
    for name in ("quiet", "loud", "other"):
        structlog.stdlib.get_logger(name).debug("d")
        logging.getLogger(f"{name}.child").warning("w")
    assert [(line["logger"], line["event"]) for line in lines(stream)] == [
        ("loud", "d"),
        ("loud.child", "w"),
        ("other.child", "w"),
    ]


def test_secrets_are_struck_out_wherever_they_come_from(stream: io.StringIO) -> None:
    log = structlog.stdlib.get_logger("server.x")
    log.info(f"message {SECRET}", value=SECRET, nested={"k": [SECRET]})
    logging.getLogger("library").warning(
        "dsn %s", 'postgresql://user:hunter-two@db/x and Authorization: Bearer abc.def\\x"ghi'
    )
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert len(lines(stream)) == 3
    for secret in (SECRET, json.dumps(SECRET)[1:-1], "71c3", "hunter-two", "abc.def", "ghi"):
        assert secret not in text
    assert "postgresql://user:***@db/x" in text
    assert "ValueError" in text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=5,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(st.characters()), value=anything)
def test_one_record_is_one_valid_line_without_control_characters(
    stream: io.StringIO, message: str, value: object
) -> None:
    stream.seek(0)
    stream.truncate()
    structlog.stdlib.get_logger("server.x").info(message, value=value)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert not [character for character in text[:-1] if ord(character) < 0x20]
    json.loads(text)


def test_a_terminal_gets_no_control_characters_either() -> None:
    with kept_logging():
        stream = io.StringIO()
        configure_logging(level="INFO", log_format="console", stream=stream)
        logging.getLogger("library").info("a\x1b[31mred\nforged line\x9b")
        structlog.stdlib.get_logger("x").info("b", value="\x1b[2J\r")
    assert len(stream.getvalue().splitlines()) == 2
    assert not set(stream.getvalue()) & {"\x1b", "\r", "\x9b"}


def test_warnings_of_python_code_are_records(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old ways", stacklevel=1)
    assert lines(stream)[0]["logger"] == "py.warnings"
