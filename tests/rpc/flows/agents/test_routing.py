"""Whom a message is for while the orchestrator is current: the model says, else the words of the message do."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import agent_context_pb2, message_pb2
from devtools.scripted_model import Reply, ScriptedModel, call, gate, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, kinds, text_of
from tests.support.tool_turns import (
    CLASSIFYING,
    follow,
    only,
    payloads,
    prompt_of,
    requests,
    routed,
    switches,
    tools_in,
)

ROUTER = agent_context_pb2.AGENT_SWITCH_SOURCE_ROUTER
FALLBACK = agent_context_pb2.AGENT_SWITCH_SOURCE_FALLBACK
CONFIDENCES = {
    "high": agent_context_pb2.ROUTING_CONFIDENCE_HIGH,
    "medium": agent_context_pb2.ROUTING_CONFIDENCE_MEDIUM,
}
UNUSABLE: dict[str, Reply] = {
    "low": routed("architect", "low"),
    "no confidence": reply(text('{"agent": "architect"}'), when=CLASSIFYING),
    "an agent nobody knows": routed("plumber"),
    "the router itself": routed("orchestrator"),
    "prose": reply(text("I would take the architect, with high confidence."), when=CLASSIFYING),
    "half of it": reply(text('{"agent": "architect", "confidence": "high"'), when=CLASSIFYING),
    "nothing": reply(when=CLASSIFYING),
    "a call": reply(tool_calls(call("switch_mode", {"mode": "architect"})), when=CLASSIFYING),
    "an error": Reply(status=500, when=CLASSIFYING, repeat=True),
}
REQUESTS = {
    "coder": ("Write a function that parses dates", "Напиши функцию, которая разбирает даты"),
    "debug": ("Why does the test crash with a NullPointerException?", "Сервис падает на старте, найди причину"),
    "architect": ("Design the architecture of a billing service", "Спроектируй архитектуру сервиса оплаты"),
    "ask": ("Explain how closures work", "Объясни, как работают замыкания"),
}


@pytest.mark.parametrize("confidence", CONFIDENCES)
async def test_a_sure_classification_routes(client: RuntimeClient, model: ScriptedModel, confidence: str) -> None:
    await model.play(routed("coder", confidence, "wants code"), reply(text("done")))
    session = await client.new_session()
    assert session.current_agent == "orchestrator"
    events = await client.ask(session.id, "please do it")
    assert kinds(events)[:5] == [
        *("input_accepted", "message_added", "turn_started", "usage_reported", "agent_switched"),
    ]
    assert only(events, "turn_started").agent == "orchestrator"
    switched = only(events, "agent_switched")
    assert (switched.from_agent, switched.to_agent, switched.reason) == ("orchestrator", "coder", "wants code")
    assert (switched.source, switched.confidence) == (ROUTER, CONFIDENCES[confidence])
    (listed,) = (await switches(client, session.id)).agent_switches
    assert (listed.source, listed.confidence, listed.reason) == (ROUTER, CONFIDENCES[confidence], "wants code")
    assert payloads(events, "message_added")[-1].message.agent == "coder"
    assert events[-1].turn_completed.result_text == "done"
    assert (await client.session(session.id)).current_agent == "coder"
    turn = (await client.turn(session.id, events[0].turn_id)).turn
    assert (turn.agent, turn.model_calls) == ("coder", 2)


async def test_the_router_asks_with_the_message_alone_and_its_answer_is_never_shown(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(routed("debug"), reply(text("found")))
    session = await client.new_session()
    events = await client.ask(session.id, "what is broken?")
    asked, answered = await requests(model)
    assert [message["content"] for message in asked["messages"][1:]] == ["what is broken?"]
    assert all(agent in prompt_of(asked) for agent in REQUESTS)
    assert tools_in(asked) == set()
    form = asked["response_format"]["json_schema"]
    assert set(REQUESTS) <= set(form["schema"]["properties"]["agent"]["enum"])
    assert "response_format" not in answered
    assert {"read_file", "switch_mode"} < tools_in(answered)
    assert text_of(events) == "found"
    roles = [message.role for message in (await client.list_messages(session.id)).messages]
    assert roles == [message_pb2.MESSAGE_ROLE_USER, message_pb2.MESSAGE_ROLE_ASSISTANT]


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"agent": "debug", "confidence": "high", "reason": "r"}\n```',
        'Let me think. {"agent": "debug", "confidence": "medium", "reason": "r"} That is it.',
        '{"agent": "Debug", "confidence": "HIGH", "reason": "r"}',
    ],
)
async def test_a_classification_is_found_in_whatever_stands_around_it(
    client: RuntimeClient, model: ScriptedModel, answer: str
) -> None:
    await model.play(reply(text(answer), when=CLASSIFYING), reply(text("found")))
    session = await client.new_session()
    switched = only(await client.ask(session.id, "write a function"), "agent_switched")
    assert (switched.to_agent, switched.source) == ("debug", ROUTER)


@pytest.mark.parametrize("answer", UNUSABLE)
async def test_without_a_sure_classification_the_words_decide(
    client: RuntimeClient, model: ScriptedModel, answer: str
) -> None:
    await model.play(UNUSABLE[answer], reply(text("done")))
    session = await client.new_session()
    events = await client.ask(session.id, "Write a function that parses dates")
    switched = only(events, "agent_switched")
    assert (switched.to_agent, switched.source) == ("coder", FALLBACK)
    assert switched.confidence == agent_context_pb2.ROUTING_CONFIDENCE_UNSPECIFIED
    assert events[-1].turn_completed.result_text == "done"


@pytest.mark.parametrize(("agent", "words"), [(agent, words) for agent, both in REQUESTS.items() for words in both])
async def test_the_words_decide_in_english_and_in_russian(
    client: RuntimeClient, model: ScriptedModel, agent: str, words: str
) -> None:
    await model.play(routed("universal", "low"), reply(text("done")))
    session = await client.new_session()
    switched = only(await client.ask(session.id, words), "agent_switched")
    assert (switched.to_agent, switched.source) == (agent, FALLBACK)


@pytest.mark.parametrize("words", ["mmm", "хм", "42", "…"])
async def test_what_says_nothing_goes_to_ask(client: RuntimeClient, model: ScriptedModel, words: str) -> None:
    await model.play(routed("coder", "low"), reply(text("what do you mean?")))
    session = await client.new_session()
    switched = only(await client.ask(session.id, words), "agent_switched")
    assert (switched.to_agent, switched.source) == ("ask", FALLBACK)


async def test_the_routed_agent_stays_for_the_next_message(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(routed("coder"), reply(text("one")), reply(text("two")))
    session = await client.new_session()
    await client.ask(session.id, "please do it")
    events = await client.ask(session.id, "Explain how closures work")
    assert only(events, "turn_started").agent == "coder"
    assert "agent_switched" not in kinds(events)
    assert events[-1].turn_completed.result_text == "two"
    assert (await model.counts())["calls"] == 3


async def test_a_message_may_ask_for_the_router_again(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(routed("coder"), reply(text("one")), routed("ask"), reply(text("two")))
    session = await client.new_session()
    await client.ask(session.id, "please do it")
    events = await client.ask(session.id, "and what is it?", agent="orchestrator")
    switched = [(each.from_agent, each.to_agent) for each in payloads(events, "agent_switched")]
    assert switched == [("coder", "orchestrator"), ("orchestrator", "ask")]
    assert events[-1].turn_completed.result_text == "two"


async def test_who_switches_while_the_router_thinks_has_the_last_word(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    thinking = reply(gate("thinking"), text('{"agent": "coder", "confidence": "high"}'), when=CLASSIFYING)
    await model.play(thinking, reply(text("found")))
    session = await client.new_session()
    (accepted,) = await client.ask(session.id, "please do it", detach=True)
    await model.held("thinking")
    await client.switch_agent(session.id, "debug")
    await model.release("thinking")
    events = await follow(client, session.id, accepted.sequence)
    assert only(events, "agent_switched").to_agent == "debug"
    assert payloads(events, "message_added")[-1].message.agent == "debug"


async def test_a_cancel_while_the_router_thinks_leaves_nothing_of_its_answer(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    thinking = reply(text('{"agent": '), gate("never"), when=CLASSIFYING)
    await model.play(thinking, routed("ask"), reply(text("fine")))
    session = await client.new_session()
    (accepted,) = await client.ask(session.id, "please do it", detach=True)
    await model.held("never")
    await client.cancel(session.id, accepted.turn_id)
    assert (await model.counts("closed_early", at_least=1))["closed_early"] == 1
    assert kinds(await client.log(session.id)) == ["input_accepted", "message_added", "turn_started", "turn_cancelled"]
    assert (await client.ask(session.id, "and now?"))[-1].turn_completed.result_text == "fine"
