"""The shortest way to a database: a statement on the driver's own connection.

SQLAlchemy's way there costs several times what the statement costs, so what runs for every event or call goes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.util import await_only


def fetch(connection: Connection, sql: str, parameters: Sequence[object]) -> Sequence[Any]:
    """The rows, each a sequence of what the driver makes of its columns. Raises what the driver raises."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        rows: Sequence[Any] = await_only(driver.fetch(sql, *parameters))
    else:
        rows = driver.execute(sql, parameters).fetchall()
    return rows


def write_many(connection: Connection, sql: str, rows: Sequence[Sequence[object]]) -> None:
    """Runs the statement for each of the rows; for SQLite, where PostgreSQL would take them all in one."""
    driver: Any = connection.connection.driver_connection
    driver.executemany(sql, rows)
