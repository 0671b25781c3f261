"""How large a stored text is, in the words of each database, and without bringing it here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class size_of(FunctionElement[int]):
    """Bytes of a text, roughly: SQLite counts its characters. PostgreSQL need not decompress it to know."""

    type = Integer()
    inherit_cache = True

    def __init__(self, column: ColumnElement[str]) -> None:
        super().__init__(column)


@compiles(size_of)
def _characters(element: size_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"length({compiler.process(element.clauses, **options)})"


@compiles(size_of, "postgresql")
def _bytes(element: size_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"
