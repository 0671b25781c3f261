"""Reads the arguments of a call. The runtime has checked them against the tool's schema; here nothing is trusted."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping

from client.tools.failure import ToolFailedError


class Arguments:
    """The arguments of one call, read by type. Every method raises ToolFailedError, naming the argument."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def parse(cls, arguments_json: str) -> Arguments:
        """The arguments in a JSON text."""
        try:
            values = json.loads(arguments_json)
        except (ValueError, RecursionError):
            raise ToolFailedError("the arguments are not valid JSON") from None
        if not isinstance(values, dict):
            raise ToolFailedError("the arguments are not a JSON object")
        return cls(values)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required if there is no default."""
        value = self._values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise ToolFailedError(f"{name} must be a text")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ToolFailedError(f"{name} must be true or false")
        return value

    def whole(self, name: str, default: int | None, *, least: int, most: int | None = None) -> int | None:
        """A whole number; one above `most` means `most`."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ToolFailedError(f"{name} must be a whole number of at least {least}")
        return value if most is None else min(value, most)

    def encoding(self) -> str:
        """The `encoding` argument as Python's name of a text encoding; UTF-8 unless given."""
        name = self.text("encoding", "utf-8")
        try:
            found = codecs.lookup(name)
            "".encode(name)  # refuses codecs that are no text encodings, such as base64
        except (LookupError, ValueError):
            raise ToolFailedError(f"unknown encoding {name}; the usual one is utf-8") from None
        return found.name
