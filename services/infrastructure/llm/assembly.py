"""Assembles one model answer from the chunks of a stream, and knows what does not count as an answer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from services.domain.model_exchange import (
    FinishReason,
    ModelAnswer,
    ReasoningFragment,
    TextFragment,
    ToolCallFragment,
    Usage,
)
from services.infrastructure.llm.bounded_json import clean_text, decode_json, is_json_object
from services.infrastructure.llm.failures import UpstreamError, bad_upstream, in_band, too_large, truncated
from services.infrastructure.llm.sse import ServerEvent
from services.infrastructure.llm.token_usage import estimated_usage, parse_usage
from services.infrastructure.llm.tool_call_assembly import ToolCallAssembly

MAX_TEXT_BYTES = 1024 * 1024

Fragment = TextFragment | ReasoningFragment | ToolCallFragment

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}

_log = logging.getLogger(__name__)


class AnswerAssembler:
    """One answer in the making; pure, linear in its input, used by one task.

    `request_bytes` is the size of the request, from which the prompt is estimated if the provider reports no usage.
    Everything raised is an UpstreamError: an error the provider reports in the stream, something that is no chat
    completion, or an answer beyond its limits (1 MiB of text with reasoning; see ToolCallAssembly for calls).
    """

    def __init__(
        self, *, model: str, call_id_prefix: str, taken_call_ids: Collection[str] = (), request_bytes: int = 0
    ) -> None:
        self._model = model
        self._request_bytes = request_bytes
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._size = 0
        self._calls = ToolCallAssembly(call_id_prefix, taken_call_ids)
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._refusal = False
        self._more_choices = False
        self.done = False

    @property
    def finished(self) -> bool:
        """Whether the model has said that it finished: nothing but usage is missing then."""
        return self._finish is not None

    def feed(self, event: ServerEvent) -> list[Fragment]:
        """What this event adds to the answer; sets `done` when the provider says that nothing follows."""
        if event.name == b"error":
            raise _reported_error(event.data)
        if event.data == b"[DONE]":
            self.done = True
            return []
        chunk = decode_json(event.data)
        if not isinstance(chunk, dict):
            raise bad_upstream()
        return self._chunk(chunk)

    def feed_tail(self, event: ServerEvent | None) -> list[Fragment]:
        """Like `feed`, for the event at which the stream ended: if that was cut it counts for nothing."""
        if event is None:
            return []
        if event.name != b"error" and event.data != b"[DONE]" and not is_json_object(event.data):
            return []
        return self.feed(event)

    def answer(self) -> ModelAnswer:
        """The whole answer once the stream has ended; raises if the model did not finish or said nothing at all.

        `[DONE]` without a finish reason is taken as an end of unknown cause, unless a tool call's arguments are torn.
        """
        calls = self._calls.calls() if self._finish is not None or self.done else ()
        finish = self._finish
        if finish is None:
            if not self.done or not all(is_json_object(call.arguments_json) for call in calls):
                raise truncated()
            finish = FinishReason.UNKNOWN
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        if not text.strip() and not calls and finish not in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER):
            raise bad_upstream("the model gave an empty answer")
        if finish is FinishReason.TOOL_CALLS and not calls:
            finish = FinishReason.STOP
        answer_size = self._size + sum(len(call.name) + len(call.arguments_json) for call in calls)
        usage = self._usage or estimated_usage(self._request_bytes, answer_size)
        return ModelAnswer(text, reasoning, calls, finish, usage, self._model, self._refusal)

    def _chunk(self, chunk: Mapping[str, object]) -> list[Fragment]:
        if chunk.get("error"):
            raise in_band(chunk["error"])
        if chunk.get("object") == "error":
            raise in_band(chunk)
        model = chunk.get("model")
        if isinstance(model, str) and model:
            self._model = clean_text(model)
        usage = chunk.get("usage")
        if usage is not None:
            self._usage = parse_usage(usage) or self._usage
        choices = chunk.get("choices")
        if choices is None:
            return []
        if not isinstance(choices, list):
            raise bad_upstream()
        fragments: list[Fragment] = []
        for choice in choices:
            if not isinstance(choice, dict):
                raise bad_upstream()
            if choice.get("index") in (0, None):
                self._choice(choice, fragments)
            elif not self._more_choices:
                self._more_choices = True
                _log.warning("the model gave more than one choice; only the first is used")
        return fragments

    def _choice(self, choice: Mapping[str, object], fragments: list[Fragment]) -> None:
        # A provider that does not stream sends one completion with a message where others send deltas.
        delta = choice.get("delta") or choice.get("message")
        if delta:
            if not isinstance(delta, dict):
                raise bad_upstream()
            self._delta(delta, fragments)
        finish = choice.get("finish_reason")
        if finish == "error":
            raise in_band(None)
        if finish:
            known = _FINISH_REASONS.get(finish) if isinstance(finish, str) else None
            self._finish = known or FinishReason.UNKNOWN

    def _delta(self, delta: Mapping[str, object], fragments: list[Fragment]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            fragments.append(ReasoningFragment(self._keep(reasoning, self._reasoning)))
        content = delta.get("content")
        if content:
            if not isinstance(content, str):
                content = _text_of_parts(content)
            if content:
                fragments.append(TextFragment(self._keep(content, self._text)))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._refusal = True
            fragments.append(TextFragment(self._keep(refusal, self._text)))
        calls = delta.get("tool_calls")
        if calls:
            if not isinstance(calls, list):
                raise bad_upstream()
            for call in calls:
                fragment = self._calls.add(call)
                if fragment is not None:
                    fragments.append(fragment)

    def _keep(self, text: str, parts: list[str]) -> str:
        text = clean_text(text)
        self._size += len(text) if text.isascii() else len(text.encode())
        if self._size > MAX_TEXT_BYTES:
            raise too_large("bytes of text")
        parts.append(text)
        return text


def _text_of_parts(content: object) -> str:
    """Some providers send a list of parts; those that are no text, such as thinking, are not for the answer."""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise bad_upstream()
    texts = (part.get("text") for part in content if part.get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _reported_error(data: bytes) -> UpstreamError:
    try:
        value = decode_json(data)
    except UpstreamError:
        return in_band(None)
    nested = value.get("error") if isinstance(value, dict) else None
    return in_band(nested or value)
