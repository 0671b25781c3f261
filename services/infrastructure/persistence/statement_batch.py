"""Many writes at the price of one round trip: PostgreSQL gets them as one statement, SQLite one after the other.

The rows of an insert travel as one JSON parameter, so a statement's text depends only on which tables it writes, and
both SQLAlchemy and the server prepare it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import (
    CTE,
    JSON,
    Connection,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
)

from services.infrastructure.persistence.rows import Values


class StatementBatch:
    """Collects inserts and updates of different tables, then executes them together.

    On PostgreSQL all of them see the database as it was before, so none may depend on another; each table may be
    written once.
    """

    def __init__(self) -> None:
        self._inserts: list[tuple[Table, Sequence[Values]]] = []
        self._updates: list[Update] = []

    def insert(self, table: Table, rows: Sequence[Values]) -> None:
        """Adds rows; all have the same columns. No rows, no statement."""
        if rows:
            self._inserts.append((table, rows))

    def update(self, statement: Update) -> None:
        """Adds an update whose values are parameters."""
        self._updates.append(statement)

    def execute(self, connection: Connection) -> None:
        """Writes everything that was added."""
        if connection.dialect.name == "postgresql":
            self._execute_as_one(connection)
        else:
            self._execute_in_order(connection)

    def _execute_in_order(self, connection: Connection) -> None:
        for statement in self._updates:
            connection.execute(statement)
        for table, rows in self._inserts:
            connection.execute(insert(table), list(rows))

    def _execute_as_one(self, connection: Connection) -> None:
        parts = [statement.cte(f"updated_{position}") for position, statement in enumerate(self._updates)]
        parts += [_insert_of_json(table, rows[0].keys()) for table, rows in self._inserts]
        if parts:
            parameters = {_parameter(table): msgspec.json.encode(rows).decode() for table, rows in self._inserts}
            connection.execute(select(literal(1)).add_cte(*parts), parameters)


def _parameter(table: Table) -> str:
    return f"{table.name}_rows"


def _insert_of_json(table: Table, names: Iterable[str]) -> CTE:
    names = list(names)
    columns = [column(name, table.c[name].type) for name in names]
    rows = func.json_to_recordset(cast(bindparam(_parameter(table), type_=Text), JSON)).table_valued(*columns)
    derived = rows.render_derived(name=f"{table.name}_new", with_types=True)
    return insert(table).from_select(names, select(*(derived.c[name] for name in names))).cte(f"added_{table.name}")
