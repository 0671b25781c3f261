"""The database's own clock in SQL, the only one that replicas agree on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class database_seconds(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, with its sub-second part."""

    type = Double()
    inherit_cache = True


@compiles(database_seconds, "postgresql")
def _on_postgresql(_element: database_seconds, _compiler: Any, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(database_seconds, "sqlite")
def _on_sqlite(_element: database_seconds, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
