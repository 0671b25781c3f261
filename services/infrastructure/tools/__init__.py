"""The built-in tools, and JSON Schema for the arguments of every tool."""

from services.infrastructure.tools.json_schema import JsonSchemaValidator
from services.infrastructure.tools.patterns import Re2Patterns
from services.infrastructure.tools.tool_files import BrokenToolError, FileToolCatalog

__all__ = ["BrokenToolError", "FileToolCatalog", "JsonSchemaValidator", "Re2Patterns"]
