"""What each durable step is called: after the code that asks for it, so that a new one has a name by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

_ANONYMOUS = ("decide", "<lambda>")

current_step: ContextVar[str] = ContextVar("current_step", default="")
"""The name that the caller of the database has given to what it is doing; empty if none."""


def name_of_change(decide: Callable[..., Any]) -> str:
    """A command: the file of its use case, or its function; an input by its kind (`accept.UserMessage`)."""
    function = decide.func if isinstance(decide, partial) else decide
    if function.__name__ not in _ANONYMOUS:
        return str(function.__name__)
    content = inspect.getclosurevars(function).nonlocals.get("content")
    if content is not None:
        return f"accept.{type(content).__name__}"
    return function.__module__.rpartition(".")[2]


def name_of_step(decide: Callable[..., Any]) -> str:
    """A step of a turn: the first function that its lambda calls (`take_answer`)."""
    function = decide.func if isinstance(decide, partial) else decide
    if function.__name__ not in _ANONYMOUS:
        return str(function.__name__)
    return str(function.__code__.co_names[0])


def name_of_unit(unit: Callable[..., Any]) -> str:
    """Anything else that is written: module and method (`leases.renew`)."""
    module = unit.__module__.rpartition(".")[2]
    method = unit.__qualname__.partition(".<locals>")[0].rpartition(".")[2]
    return f"{module}.{method.lstrip('_')}"
