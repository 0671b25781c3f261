"""Messages survive the OpenAI chat format, and a request says what it should and no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.errors import InvalidArgumentError
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import AnswerSchema, ModelRequest, ToolSpec
from services.infrastructure.llm.chat_format import message_from_chat, message_to_chat, request_body
from services.infrastructure.llm.profiles import RequestShape

NOW = datetime(2026, 1, 1, tzinfo=UTC)

stored_text = st.text(st.characters(exclude_categories=["Cs"]))
content = stored_text.filter(str.strip)
calls = st.lists(st.builds(MessageToolCall, stored_text, stored_text, stored_text), min_size=1, max_size=4).map(tuple)
names = st.none() | stored_text
messages = st.one_of(
    st.builds(Message, st.just("m"), st.sampled_from([Role.USER, Role.SYSTEM]), content, st.just(NOW), name=names),
    st.builds(Message, st.just("m"), st.just(Role.ASSISTANT), content, st.just(NOW), name=names),
    st.builds(Message, st.just("m"), st.just(Role.ASSISTANT), stored_text, st.just(NOW), tool_calls=calls),
    st.builds(Message, st.just("m"), st.just(Role.TOOL), content, st.just(NOW), tool_call_id=stored_text),
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    written = json.loads(json.dumps(message_to_chat(message)))
    assert message_from_chat(written, message_id="m", create_time=NOW) == message


@given(st.lists(messages, max_size=5))
def test_a_request_keeps_order_and_text(history: list[Message]) -> None:
    body = json.loads(request_body(ModelRequest(tuple(history), "", "c", "p"), "m", RequestShape()))
    assert [message_from_chat(e, message_id="m", create_time=NOW) for e in body["messages"]] == history


def test_a_full_request() -> None:
    user = Message("1", Role.USER, "hi", NOW, agent="coder", reasoning="secret thought", metadata={"k": "v"})
    asked = ModelRequest(
        (user,),
        "be kind",
        "c",
        "p",
        tools=(ToolSpec("read", "reads", {"type": "object"}),),
        model="big",
        temperature=0.0,
        max_tokens=7,
    )
    function = {"name": "read", "description": "reads", "parameters": {"type": "object"}}
    assert json.loads(request_body(asked, "big", RequestShape())) == {
        "model": "big",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "temperature": 0.0,
        "max_tokens": 7,
    }


def test_a_provider_gets_only_what_it_takes() -> None:
    thought = Message("1", Role.ASSISTANT, "", NOW, reasoning="hm", tool_calls=(MessageToolCall("a", "read", "{}"),))
    said = Message("2", Role.ASSISTANT, "yes", NOW, reasoning="hm")
    asked = ModelRequest((thought, said), "", "c", "p", temperature=0.0, max_tokens=7)
    shape = RequestShape(
        echo_reasoning=True, usage_option=False, temperature=False, token_limit="max_completion_tokens"
    )
    body = json.loads(request_body(asked, "m", shape))
    assert set(body) == {"model", "messages", "stream", "max_completion_tokens"}
    assert [entry.get("reasoning_content") for entry in body["messages"]] == ["hm", None]


def test_the_form_of_an_answer_is_asked_for_where_the_provider_keeps_it() -> None:
    schema = {"type": "object", "properties": {"agent": {"enum": ["ask"]}}}
    asked = ModelRequest((), "", "c", "p", answer_schema=AnswerSchema("route", schema))
    body = json.loads(request_body(asked, "m", RequestShape()))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "route", "strict": True, "schema": schema},
    }
    assert "response_format" not in json.loads(request_body(asked, "m", RequestShape(json_schema=False)))


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"role": "robot", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": 7},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]},
    ],
)
def test_what_is_no_message_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        message_from_chat(entry, message_id="m", create_time=NOW)
