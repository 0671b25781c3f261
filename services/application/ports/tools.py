"""The built-in tools, and the schemas that bind the arguments of every tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.domain.policies.approval_rules import Matches
from services.domain.tool import Tool


class ToolCatalog(Protocol):
    """The tools the runtime brings along, whoever may use them."""

    def get(self, name: str) -> Tool | None:
        """The built-in tool of that name."""

    def all(self) -> Sequence[Tool]:
        """All of them, by name."""


class Patterns(Protocol):
    """Regular expressions from strangers, in linear time. Callable from any thread."""

    def flaw_of(self, pattern: str) -> str | None:
        """What is wrong with a pattern, in words for its author; None if texts can be matched by it."""

    def matching(self) -> Matches:
        """Matches the texts of one call, until they have taken too much work; a flawed pattern matches nothing."""


class SchemaValidator(Protocol):
    """JSON Schema, as far as tools need it. Pure, bounded in time, callable from any thread."""

    def flaw_of(self, schema: Mapping[str, object]) -> str | None:
        """What is wrong with a schema of arguments, in words for its author; None if calls can be checked by it.

        It must be a valid schema of a JSON object, refer to nothing outside itself, and use no pattern that could take
        more than linear time.
        """

    def violation(self, schema: Mapping[str, object], arguments: Mapping[str, object]) -> str | None:
        """The first way in which the arguments do not fit, in words for the model, naming the argument; None if they
        fit.
        """
