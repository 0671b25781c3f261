"""Finds out which tool call a fragment belongs to: providers leave out ids, indexes or both, or use one twice."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

from services.domain.message import MessageToolCall
from services.domain.model_exchange import ToolCallFragment
from services.infrastructure.llm.bounded_json import canonical_json, clean_text
from services.infrastructure.llm.failures import bad_upstream, too_large

MAX_TOOL_CALLS = 32
MAX_ARGUMENT_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    id: str
    provider_id: str
    index: int | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def is_followed_by(self, name: str, arguments: str) -> bool:
        """Whether a fragment can only be the start of another call: another name, or a second whole object."""
        if not name or not self.name:
            return False
        ended = bool(self.arguments) and self.arguments[-1].rstrip().endswith("}")
        return name != self.name or (ended and arguments.lstrip().startswith("{"))


class ToolCallAssembly:
    """The tool calls of one answer, from fragments; pure, and linear in their size.

    A known id means that call, whatever the index; a new id a new call, even under a used index; without id the index
    decides; without both the fragment goes to the call being streamed. Where the provider gave no id, or one that is
    taken, the call is named `<call_id_prefix>_<n>`, n being its place among the calls of this answer.
    """

    def __init__(self, call_id_prefix: str, taken_ids: Collection[str] = ()) -> None:
        self._prefix = call_id_prefix
        self._taken = set(taken_ids)
        self._calls: list[_Call] = []
        self._by_provider_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._current: _Call | None = None
        self._size = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, fragment: object) -> ToolCallFragment | None:
        """What a client may see of this fragment: nothing while the tool's name is unknown, or if it adds nothing.

        Raises UpstreamError for a fragment that belongs to no call and for more than 32 calls or 1 MiB of arguments.
        """
        if not isinstance(fragment, dict):
            raise bad_upstream()
        function = fragment.get("function") or {}
        if not isinstance(function, dict):
            raise bad_upstream()
        name = _text(function.get("name"))
        arguments = _arguments(function.get("arguments"))
        provider_id = _text(fragment.get("id"))
        index = fragment.get("index")
        call = self._route(provider_id, index if type(index) is int else None, name, arguments)
        self._current = call
        self._count(arguments)
        if arguments:
            call.arguments.append(arguments)
        if not call.name and name:
            call.name = name
            return ToolCallFragment(call.id, name, "".join(call.arguments))
        return ToolCallFragment(call.id, call.name, arguments) if call.name and arguments else None

    def calls(self) -> tuple[MessageToolCall, ...]:
        """All calls in the order they began; raises UpstreamError if one never got a name."""
        if not all(call.name for call in self._calls):
            raise bad_upstream()
        return tuple(MessageToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls)

    def _route(self, provider_id: str, index: int | None, name: str, arguments: str) -> _Call:
        at_index = self._by_index.get(index) if index is not None else None
        if provider_id:
            known = self._by_provider_id.get(provider_id)
            if known is None:
                if at_index is not None and not at_index.provider_id and not name:
                    # The id came late: the call has been shown under another one and keeps it.
                    at_index.provider_id = provider_id
                    self._by_provider_id[provider_id] = at_index
                    return at_index
                return self._begin(provider_id, index, name)
            if at_index is not None and at_index.provider_id == provider_id:
                known = at_index
            elsewhere = name != known.name or index != known.index
            if elsewhere and known.is_followed_by(name, arguments):
                return self._begin(provider_id, index, name)
            return known
        call = at_index if index is not None else self._current
        if call is not None and not call.is_followed_by(name, arguments):
            return call
        if call is None and index is None and not name:
            raise bad_upstream()
        return self._begin("", index, name)

    def _begin(self, provider_id: str, index: int | None, name: str) -> _Call:
        if len(self._calls) == MAX_TOOL_CALLS:
            raise too_large("number of tool calls")
        self._count(provider_id + name)
        call_id = provider_id
        if not call_id or call_id in self._taken:
            if call_id:
                _log.warning("the model used a tool call id twice; the second call gets an id of ours")
            call_id = self._own_id()
        self._taken.add(call_id)
        call = _Call(call_id, provider_id, index)
        self._calls.append(call)
        if provider_id:
            self._by_provider_id[provider_id] = call
        if index is not None:
            self._by_index[index] = call
        return call

    def _own_id(self) -> str:
        own_id = f"{self._prefix}_{len(self._calls) + 1}"
        while own_id in self._taken:
            own_id += "x"
        return own_id

    def _count(self, text: str) -> None:
        self._size += len(text) if text.isascii() else len(text.encode())
        if self._size > MAX_ARGUMENT_BYTES:
            raise too_large("bytes of tool calls")


def _text(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    if value is None:
        return ""
    return clean_text(value if isinstance(value, str) else canonical_json(value))
