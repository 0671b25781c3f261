"""What the tools that a client declares must be before any agent is offered them."""

from __future__ import annotations

from collections.abc import Sequence

from services.application.ports import SchemaValidator, ToolCatalog
from services.application.turns.call_policy import as_tool
from services.domain.errors import FieldViolation, InvalidArgumentError
from services.domain.tool import ClientTool


class ClientToolChecks:
    """Checks names against the built-in tools and schemas for what the runtime can hold calls to."""

    def __init__(self, tools: ToolCatalog, schemas: SchemaValidator) -> None:
        self._tools = tools
        self._schemas = schemas

    def check(self, client_tools: Sequence[ClientTool], *, field: str) -> None:
        """Raises InvalidArgumentError that names every tool which cannot be offered, by its place in `field`."""
        violations = []
        for position, tool in enumerate(client_tools):
            if self._tools.get(tool.name) is not None:
                violations.append(FieldViolation(f"{field}[{position}].name", "is the name of a built-in tool"))
            elif (flaw := self._schemas.flaw_of(as_tool(tool).parameters)) is not None:
                violations.append(FieldViolation(f"{field}[{position}].parameters_json", flaw))
        if violations:
            raise InvalidArgumentError(violations)
