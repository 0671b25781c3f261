"""Many writes at the price of one round trip: PostgreSQL gets them as one statement, SQLite one for each table.

The rows travel as one JSON parameter for each table, so a statement's text depends only on which columns it writes: it
is built, compiled and prepared once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    BindParameter,
    Connection,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)

from services.infrastructure.persistence.query import Query, Write
from services.infrastructure.persistence.rows import Values

Shape = tuple[Table, tuple[str, ...]]
"""A table and the columns of it that are written."""

_KEPT = 500  # shapes; there are fewer


class StatementBatch:
    """Collects rows that different tables get or change, then writes them together.

    On PostgreSQL all writes see the database as it was before, so none may depend on another; each table may get rows
    once and have rows changed once. All rows of one call have the same columns.
    """

    def __init__(self) -> None:
        self._inserts: dict[Shape, Sequence[Values]] = {}
        self._updates: dict[Shape, Sequence[Values]] = {}

    def insert(self, table: Table, rows: Sequence[Values]) -> None:
        """Adds rows. No rows, no statement."""
        if rows:
            self._inserts[table, tuple(rows[0])] = rows

    def update(self, table: Table, rows: Sequence[Values]) -> None:
        """Changes rows: each names all columns of the table's primary key, by which it is found, and its new values."""
        if rows:
            self._updates[table, tuple(rows[0])] = rows

    def execute(self, connection: Connection) -> None:
        """Writes everything that was added."""
        if connection.dialect.name == "postgresql":
            self._execute_as_one(connection)
        else:
            self._execute_in_order(connection)

    def _execute_in_order(self, connection: Connection) -> None:
        for shape, rows in self._updates.items():
            _update(*shape).run(connection, rows)
        for shape, rows in self._inserts.items():
            _insert(*shape).run(connection, rows)

    def _execute_as_one(self, connection: Connection) -> None:
        if not self._updates and not self._inserts:
            return
        parameters = {f"{table.name}_changed": _json(rows) for (table, _), rows in self._updates.items()}
        parameters |= {f"{table.name}_new": _json(rows) for (table, _), rows in self._inserts.items()}
        _all_as_one(tuple(self._updates), tuple(self._inserts)).all(connection, **parameters)


@lru_cache(_KEPT)
def _all_as_one(updates: tuple[Shape, ...], inserts: tuple[Shape, ...]) -> Query:
    parts = [_update_by_json(*shape) for shape in updates] + [_insert_of_json(*shape) for shape in inserts]
    return Query(select(literal_column("1")).add_cte(*parts))


def _insert_of_json(table: Table, names: tuple[str, ...]) -> CTE:
    given = _rows_of_json(table, names, f"{table.name}_new")
    return insert(table).from_select(names, select(*(given.c[name] for name in names))).cte(f"added_{table.name}")


def _update_by_json(table: Table, names: tuple[str, ...]) -> CTE:
    given = _rows_of_json(table, names, f"{table.name}_changed")
    key = table.primary_key.columns.keys()
    changed = {name: given.c[name] for name in names if name not in key}
    found = (table.c[name] == given.c[name] for name in key)
    return update(table).where(*found).values(changed).cte(f"changed_{table.name}")


def _rows_of_json(table: Table, names: tuple[str, ...], parameter: str) -> TableValuedAlias:
    columns = [column(name, table.c[name].type) for name in names]
    rows = func.json_to_recordset(cast(bindparam(parameter, type_=Text), JSON)).table_valued(*columns)
    return rows.render_derived(name=f"given_{parameter}", with_types=True)


@lru_cache(_KEPT)
def _insert(table: Table, names: tuple[str, ...]) -> Write:
    return Write(insert(table).values({name: _value(table, name) for name in names}))


@lru_cache(_KEPT)
def _update(table: Table, names: tuple[str, ...]) -> Write:
    key = table.primary_key.columns.keys()
    found = (table.c[name] == _value(table, name) for name in key)
    return Write(update(table).where(*found).values({name: _value(table, name) for name in names if name not in key}))


def _value(table: Table, name: str) -> BindParameter[object]:
    return bindparam(Write.parameter(name), type_=table.c[name].type)


def _json(rows: Sequence[Values]) -> str:
    return msgspec.json.encode(rows).decode()
