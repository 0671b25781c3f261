"""Words for conversations that are longer than the model reads."""

from __future__ import annotations

from typing import Any

from agent_runtime.v1 import message_pb2
from devtools.scripted_model import Reply, ScriptedModel, Usage, When, reply, text
from tests.support.runtime_client import Event, RuntimeClient
from tests.support.tool_turns import requests

SUMMARISING = When(system_contains="You summarise the earlier part")
SUMMARY = "They spoke of many things."
LONG = "word " * 700  # 1,171 tokens by estimate; a third of what there is room for
ANSWER = reply(text("so it is"), repeat=True, send_usage=False)
"""Without counts, from which the server would learn for the next test."""
COST = Usage(prompt_tokens=500, completion_tokens=50)


def summary(words: str = SUMMARY, **options: Any) -> Reply:
    """What the model says when it is asked for a summary."""
    return reply(text(words), when=SUMMARISING, usage=COST, **({"repeat": True} | options))


async def long_talk(client: RuntimeClient, turns: int, agent: str = "ask") -> tuple[str, list[Event]]:
    """A session with so many turns of long messages; its id, and all events but the last turn's are forgotten."""
    session = await client.new_session(agent=agent)
    events: list[Event] = []
    for number in range(turns):
        events = await client.ask(session.id, f"message {number}: {LONG}")
    return session.id, events


async def history(client: RuntimeClient, session_id: str) -> list[message_pb2.Message]:
    """All messages of the session."""
    return list((await client.list_messages(session_id)).messages)


async def asked(model: ScriptedModel) -> list[list[dict[str, Any]]]:
    """The messages of each request, but for the system prompt, without the questions for summaries."""
    made = [body["messages"] for body in await requests(model)]
    return [messages[1:] for messages in made if not summarises(messages)]


async def summaries_asked(model: ScriptedModel) -> list[str]:
    """What was to be summarised, request by request."""
    made = [body["messages"] for body in await requests(model)]
    return [messages[1]["content"] for messages in made if summarises(messages)]


def summarises(messages: list[dict[str, Any]]) -> bool:
    """Whether it is a question for a summary."""
    return str(SUMMARISING.system_contains) in messages[0]["content"]
