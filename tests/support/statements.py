"""Counts SQL statements, so that a list that asks once per item is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from services.infrastructure.persistence import driver


@contextmanager
def recorded_statements() -> Iterator[list[str]]:
    """Every statement that this process executes meanwhile."""
    statements: list[str] = []
    with every_statement(lambda _, statement: statements.append(statement)):
        yield statements


@contextmanager
def every_statement(heard: Callable[[Connection, str], None]) -> Iterator[None]:
    """Tells of every statement that is executed meanwhile, through any engine or right on a driver's connection."""

    def hear(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        heard(connection, statement)

    def heard_too(run: Callable[..., Any]) -> Callable[..., Any]:
        def hear_and_run(connection: Connection, statement: str, parameters: Any) -> Any:
            heard(connection, statement)
            return run(connection, statement, parameters)

        return hear_and_run

    fetch, write_many = driver.fetch, driver.write_many
    driver.fetch, driver.write_many = heard_too(fetch), heard_too(write_many)
    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
        driver.fetch, driver.write_many = fetch, write_many
