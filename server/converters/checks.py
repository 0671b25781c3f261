"""Finds everything that is wrong with a request before anything is done, and reports it at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message

from server.converters import limits
from server.converters.json_text import flaw_of_json
from server.converters.times import to_datetime
from services.domain.errors import FieldViolation, InvalidArgumentError, NotImplementedYetError
from services.domain.ids import REQUEST_ID_RULE, SESSION_ID_RULE, is_request_id, is_session_id

D = TypeVar("D")

# A status has room for about this many; looking for more would only cost.
_MAX_VIOLATIONS = 64


class Checks:
    """The checks of one request: call them field by field, by the field's dotted path, then `done`.

    A check that finds something wrong notes it and goes on, so what it returns counts only after `done`.
    """

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []
        self._later: list[str] = []

    def done(self) -> None:
        """Raises InvalidArgumentError for all that is wrong, or else NotImplementedYetError for what is not offered."""
        if self._violations:
            raise InvalidArgumentError(self._violations)
        if self._later:
            raise NotImplementedYetError(f"{', '.join(self._later)}: not implemented yet")

    def wrong(self, field: str, rule: str) -> None:
        """Notes that a field breaks a rule."""
        if len(self._violations) < _MAX_VIOLATIONS:
            self._violations.append(FieldViolation(field, rule))

    def later(self, feature: str, *, used: bool) -> None:
        """Notes a use of what is announced and not offered yet; nothing is ignored silently."""
        if used:
            self._later.append(feature)

    def session_id(self, value: str, *, required: bool = True) -> None:
        if value and not is_session_id(value):
            self.wrong("session_id", SESSION_ID_RULE)
        elif required and not value:
            self.wrong("session_id", "is required")

    def request_id(self, value: str) -> None:
        if value and not is_request_id(value):
            self.wrong("request_id", REQUEST_ID_RULE)

    def text(
        self, field: str, value: str, *, required: bool = False, characters: int | None = None, size: int | None = None
    ) -> None:
        """A text that every database and every JSON parser takes; `size` is in bytes of UTF-8."""
        flaw = "is required" if required and not value else _flaw_of(value, characters, size)
        if flaw is not None:
            self.wrong(field, flaw)

    def words(self, field: str, value: str, *, characters: int | None = None, size: int | None = None) -> None:
        """A required text that says something; `size` is in bytes of UTF-8."""
        self.text(field, value, required=True, characters=characters, size=size)
        if value and not value.strip():
            self.wrong(field, "must not be blank")

    def json(self, field: str, value: str, *, is_object: bool = False, size: int | None = None) -> bool:
        """One JSON value, or one object, as text; `size` is in bytes of UTF-8. Returns whether it is one."""
        flaw = _flaw_of(value, None, size) or flaw_of_json(value, is_object=is_object)
        if flaw is not None:
            self.wrong(field, flaw)
        return flaw is None

    def agent(self, field: str, name: str, *, required: bool = False) -> None:
        """Whether there is such an agent is not for here to say."""
        self.text(field, name, required=required, characters=limits.AGENT_NAME_CHARACTERS)

    def runtime_id(self, field: str, value: str, *, required: bool = False) -> None:
        """An id that the runtime made, such as a turn's; any other text is only not found."""
        self.text(field, value, required=required, characters=limits.ID_CHARACTERS)

    def labels(self, field: str, labels: Mapping[str, str]) -> None:
        if len(labels) > limits.MAX_LABELS:
            self.wrong(field, f"must have at most {limits.MAX_LABELS} entries")
            return
        for key, value in labels.items():
            entry = f"{field}[{json.dumps(key[:64])}]"
            if limits.LABEL_KEY.fullmatch(key) is None:
                self.wrong(entry, limits.LABEL_KEY_RULE)
            else:
                self.text(entry, value, characters=limits.LABEL_VALUE_CHARACTERS)

    def between(self, field: str, value: int, lowest: int, highest: int | None = None) -> None:
        """`lowest` ≤ value ≤ `highest`."""
        if highest is not None and not lowest <= value <= highest:
            self.wrong(field, f"must be between {lowest} and {highest}")
        elif value < lowest:
            self.wrong(field, f"must be at least {lowest}")

    def page_size(self, value: int) -> int:
        """The number of items to read: the default for 0, and never more than the maximum."""
        self.between("page_size", value, 0)
        return min(value or limits.DEFAULT_PAGE_SIZE, limits.MAX_PAGE_SIZE)

    def choices(self, field: str, values: Sequence[int], known: Mapping[int, D]) -> tuple[D, ...]:
        """What the enum values of a filter mean, each once; unspecified and unknown ones mean nothing."""
        if len(values) > len(known):
            self.wrong(field, "must name each value once")
            return ()
        for position, value in enumerate(values):
            if value not in known:
                self.wrong(f"{field}[{position}]", "is not a value this server knows")
        return tuple(dict.fromkeys(known[value] for value in values if value in known))

    def choice(self, field: str, value: int, known: Mapping[int, D]) -> D | None:
        """What a required enum value means; None, and noted, for one that means nothing."""
        if value not in known:
            self.wrong(field, "is not a value this server knows" if value else "is required")
        return known.get(value)

    def duration(self, request: Message, path: str, field: str) -> float | None:
        """Seconds, more than none; None when the field is not set."""
        if not request.HasField(field):
            return None
        span = getattr(request, field)
        seconds = span.seconds + span.nanos / 1e9
        if not 0 <= span.nanos < 1_000_000_000 or span.seconds < 0 or not 0 < seconds <= limits.MAX_DURATION_SECONDS:
            self.wrong(path, "must be a valid duration of more than 0 s")
            return None
        return float(seconds)

    def time(self, request: Message, field: str) -> datetime | None:
        """A moment in the years 1 to 9999, cut to microseconds; None when the field is not set."""
        if not request.HasField(field):
            return None
        try:
            return to_datetime(getattr(request, field))
        except ValueError:
            self.wrong(field, "is not a valid time")
            return None


def _flaw_of(value: str, characters: int | None, size: int | None) -> str | None:
    if characters is not None and len(value) > characters:
        return f"must have at most {characters} characters"
    if "\x00" in value:
        return "must not contain NUL"
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    if size is not None and len(encoded) > size:
        return f"must have at most {size} bytes of UTF-8"
    return None
