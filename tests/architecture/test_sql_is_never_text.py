"""SQL is built from tables and bound parameters; a string put together at run time is where injection begins."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source_tree import PACKAGES, python_files

_TAKES_SQL = {"text", "execute", "executemany", "exec_driver_sql", "fetch", "fetchrow", "fetchval"}


def _is_built_at_run_time(argument: ast.expr) -> bool:
    """An f-string with a value in it, a sum or `%` of strings, or a call of `format` or `join`.

    A value that is an UPPER_CASE constant is no input: a PRAGMA, for one, takes no parameters.
    """
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) and not _is_constant(part.value) for part in argument.values)
    if isinstance(argument, ast.BinOp):
        return any(
            isinstance(side, ast.JoinedStr | ast.BinOp) or _is_text(side) for side in (argument.left, argument.right)
        )
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute):
        return argument.func.attr in {"format", "join"} and _is_text(argument.func.value)
    return False


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.isupper()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _violations(tree: ast.AST) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _TAKES_SQL and _is_built_at_run_time(node.args[0]):
            found.append(node.lineno)
    return found


def test_no_statement_is_put_together_from_strings() -> None:
    found = [f"{path}:{line}" for path, tree in python_files(*PACKAGES) for line in _violations(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'text(f"SELECT {x}")',
        'sqlalchemy.text("SELECT " + x)',
        'connection.execute(text("SELECT %s" % x))',
        'connection.exec_driver_sql("SELECT {}".format(x))',
        'connection.fetchval(" ".join(parts))',
    ],
)
def test_the_rule_sees_the_usual_ways(code: str) -> None:
    assert _violations(ast.parse(code)) == [1]


@pytest.mark.parametrize(
    "code", ['text("SELECT 1")', "connection.execute(select(table.c.id))", 'execute(f"PRAGMA busy_timeout={_MS}")']
)
def test_the_rule_leaves_the_rest_alone(code: str) -> None:
    assert _violations(ast.parse(code)) == []
