"""Many texts as one parameter: a JSON array, so that a statement is the same however many there are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class texts_of(FunctionElement[str]):
    """What stands behind IN: the texts of the JSON array that is the parameter of that name."""

    type = Text()
    inherit_cache = True

    def __init__(self, name: str) -> None:
        parameter: BindParameter[str] = bindparam(name, type_=Text)
        super().__init__(parameter)


@compiles(texts_of, "postgresql")
def _on_postgresql(element: texts_of, compiler: Any, **options: Any) -> str:
    return f"(SELECT json_array_elements_text(({compiler.process(element.clauses, **options)})::json))"


@compiles(texts_of, "sqlite")
def _on_sqlite(element: texts_of, compiler: Any, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"
