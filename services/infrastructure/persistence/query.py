"""Statements built when their module is loaded and compiled once for each database, for what every call or turn asks.

Building a statement anew costs more than everything else that asking does.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    Insert,
    Select,
    Text,
    Update,
    func,
    literal_column,
)

from services.infrastructure.persistence import driver

_row_type: Callable[[Sequence[str]], Any] = partial(namedtuple, "Row", rename=True)


def is_one_of(column: ColumnElement[str], *constants: str) -> ColumnElement[bool]:
    """Whether the column has one of these values, which are written into the statement.

    A parameter would hide from PostgreSQL that a partial index serves, and a list of one from SQLite.
    """
    values = [literal_column(f"'{constant}'", Text) for constant in constants]
    return column == values[0] if len(values) == 1 else column.in_(values)


def with_commas(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column's texts in one, in any order, with commas between; null when there are none."""
    comma: Any = literal_column("','", Text)
    return func.aggregate_strings(column, comma)


class Query:
    """A SELECT, or several in one, whose parameters are `bindparam`s."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any]) -> None:
        self._compiled = _ForEach(statement)

    def all(self, connection: Connection, **parameters: object) -> list[Any]:
        """Its rows, their columns as attributes."""
        compiled = self._compiled.on(connection)
        return compiled.rows(driver.fetch(connection, compiled.sql, compiled.bound(parameters)))

    def first(self, connection: Connection, **parameters: object) -> Any:
        """Its first row, or None."""
        rows = self.all(connection, **parameters)
        return rows[0] if rows else None


class Write:
    """An INSERT or UPDATE for SQLite, whose parameters are named after columns by `parameter`."""

    def __init__(self, statement: Insert | Update) -> None:
        self._compiled = _ForEach(statement)

    @staticmethod
    def parameter(column: str) -> str:
        """SQLAlchemy keeps the columns' own names to itself."""
        return f"new_{column}"

    def run(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Runs it for each of the rows."""
        compiled = self._compiled.on(connection)
        values = [compiled.bound({self.parameter(name): value for name, value in row.items()}) for row in rows]
        driver.write_many(connection, compiled.sql, values)


class _ForEach:
    """A statement compiled for each database that asks."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Insert | Update) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def on(self, connection: Connection) -> _Compiled:
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            compiled = self._compiled[connection.dialect.name] = _Compiled(self._statement, connection.dialect)
        return compiled


class _Compiled:
    """A statement in the words of one database, and how values get there and back."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Insert | Update, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = compiled.string
        self._names: Sequence[str] = compiled.positiontup or ()
        self._constants: Mapping[str, object] = {
            name: value for name, value in compiled.params.items() if not compiled.binds[name].required
        }
        self._bind = {
            name: convert
            for name in self._names
            if (convert := compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
        }
        columns = statement.exported_columns
        self._row = _row_type([column.key or "" for column in columns])
        # SQLite knows neither times nor truth; asyncpg makes Python's own values of everything.
        self._convert = [
            (place, convert)
            for place, column in enumerate(columns)
            if dialect.name == "sqlite"
            and (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def bound(self, parameters: Mapping[str, object]) -> list[object]:
        """The values in the order of their places. Raises KeyError when one is missing."""
        values = {**self._constants, **parameters}
        for name, convert in self._bind.items():
            values[name] = convert(values[name])
        return [values[name] for name in self._names]

    def rows(self, fetched: Sequence[Sequence[Any]]) -> list[Any]:
        if not self._convert:
            return [self._row(*row) for row in fetched]
        rows = []
        for row in fetched:
            values = list(row)
            for place, convert in self._convert:
                values[place] = convert(values[place])
            rows.append(self._row(*values))
        return rows
