"""Short words for the bytes a provider sends, and a parser run over them without any network."""

from __future__ import annotations

import json
from collections.abc import Iterable

from services.domain.model_exchange import ModelAnswer
from services.infrastructure.llm.assembly import AnswerAssembler, Fragment
from services.infrastructure.llm.sse import SseDecoder

DONE = b"data: [DONE]\n\n"


def event(chunk: object) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def delta(fields: object, **choice: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, **choice}]})


def text(words: str) -> bytes:
    return delta({"content": words})


def finish(reason: object = "stop") -> bytes:
    return delta({}, finish_reason=reason)


def call(index: int | None = None, id: str | None = None, name: str | None = None, arguments: object = None) -> bytes:
    """A fragment of a tool call; what is None is left out."""
    function = {k: v for k, v in {"name": name, "arguments": arguments}.items() if v is not None}
    fragment = {k: v for k, v in {"index": index, "id": id}.items() if v is not None}
    return delta({"tool_calls": [{**fragment, "function": function}]})


def parse(chunks: Iterable[bytes], taken_call_ids: frozenset[str] = frozenset()) -> tuple[list[Fragment], ModelAnswer]:
    """What decoder and assembler make of a body that ends cleanly; raises UpstreamError."""
    decoder = SseDecoder()
    assembler = AnswerAssembler(
        model="asked", call_id_prefix="call_t1", taken_call_ids=taken_call_ids, request_bytes=40
    )
    fragments: list[Fragment] = []
    for chunk in chunks:
        for server_event in decoder.feed(chunk):
            fragments += assembler.feed(server_event)
            if assembler.done:
                return fragments, assembler.answer()
    fragments += assembler.feed_tail(decoder.finish())
    return fragments, assembler.answer()


def answer(*body: bytes, taken_call_ids: frozenset[str] = frozenset()) -> ModelAnswer:
    return parse([b"".join(body)], taken_call_ids)[1]
