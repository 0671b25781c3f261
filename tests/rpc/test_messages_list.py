"""The history of a session: what it holds, in which order, in pages, and as the model sees it."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import message_pb2
from devtools.scripted_model import ScriptedModel, call, gate, reasoning, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, every_page, kinds, refused

USER, ASSISTANT, TOOL = (
    message_pb2.MESSAGE_ROLE_USER,
    message_pb2.MESSAGE_ROLE_ASSISTANT,
    message_pb2.MESSAGE_ROLE_TOOL,
)


async def history(client: RuntimeClient, session_id: str, **filters: object) -> list[message_pb2.Message]:
    pages = await every_page(lambda token: client.list_messages(session_id, page_token=token, **filters))
    return [message for page in pages for message in page.messages]


async def test_the_history_holds_what_the_log_said_entered_it(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(reasoning("hmm"), text("yes")))
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "is it?")
    messages = await history(client, session.id)
    assert messages == [event.message_added.message for event in events if event.HasField("message_added")]
    user, assistant = messages
    assert (user.role, user.content, user.ordinal, user.agent) == (USER, "is it?", 1, "")
    assert (assistant.role, assistant.content, assistant.reasoning) == (ASSISTANT, "yes", "hmm")
    assert (assistant.ordinal, assistant.agent) == (2, "universal")
    assert {message.turn_id for message in messages} == {events[0].turn_id}
    assert {message.state for message in messages} == {message_pb2.MESSAGE_STATE_COMPLETE}
    assert all(message.id and message.HasField("create_time") for message in messages)


async def test_calls_and_their_results_are_paired_in_the_history(client: RuntimeClient, model: ScriptedModel) -> None:
    arguments = '{"path":  "a.md", "n": 1.0}'
    await model.play(reply(text("Let me look."), tool_calls(call("read_file", arguments))), reply(text("sorry")))
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "look")
    _, asking, result, answer = await history(client, session.id)
    assert (asking.content, asking.tool_calls[0].name) == ("Let me look.", "read_file")
    assert asking.tool_calls[0].arguments_json == arguments
    assert (result.role, result.tool_call_id, result.name) == (TOOL, asking.tool_calls[0].id, "read_file")
    assert result.is_error
    assert answer.content == "sorry"
    assert [message.ordinal for message in await history(client, session.id)] == [1, 2, 3, 4]


async def test_filters_and_direction(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    for words in ("one", "two", "three"):
        await client.ask(session.id, words)
    everything = await history(client, session.id)
    assert await history(client, session.id, newest_first=True) == everything[::-1]
    assert [message.content for message in await history(client, session.id, roles=[USER])] == ["one", "two", "three"]
    assert await history(client, session.id, roles=[USER, ASSISTANT]) == everything
    assert await history(client, session.id, roles=[TOOL]) == []
    second = everything[2].turn_id
    assert await history(client, session.id, turn_id=second) == everything[2:4]
    assert await history(client, session.id, turn_id=second, roles=[ASSISTANT]) == everything[3:4]
    assert await history(client, session.id, turn_id="turn_nobody_knows") == []


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_of_any_size_make_the_whole_history(
    client: RuntimeClient, model: ScriptedModel, newest_first: bool
) -> None:
    session = await client.new_session(agent="universal")
    for number in range(3):
        await client.ask(session.id, f"message {number}")
    ordinals = [1, 2, 3, 4, 5, 6]
    for page_size in range(1, 8):
        pages = await every_page(
            lambda token, size=page_size: client.list_messages(  # type: ignore[misc]
                session.id, page_size=size, page_token=token, newest_first=newest_first
            )
        )
        assert all(0 < len(page.messages) <= page_size for page in pages)
        listed = [message.ordinal for page in pages for message in page.messages]
        assert listed == (ordinals[::-1] if newest_first else ordinals)


async def test_messages_added_while_one_pages_appear_at_the_end_and_none_twice(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "one")
    first = await client.list_messages(session.id, page_size=1)
    newest = await client.list_messages(session.id, page_size=1, newest_first=True)
    await client.ask(session.id, "two")
    rest = await client.list_messages(session.id, page_token=first.next_page_token)
    assert [message.ordinal for message in rest.messages] == [2, 3, 4]
    older = await client.list_messages(session.id, page_token=newest.next_page_token, newest_first=True)
    assert [message.ordinal for message in older.messages] == [1]


async def test_a_page_ends_at_a_mebibyte_and_holds_at_least_one_message(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(text("x" * 600_000, chunk_characters=60_000), repeat=True))
    session = await client.new_session(agent="universal")
    for _ in range(3):
        await client.ask(session.id, "much, please")
    pages = await every_page(lambda token: client.list_messages(session.id, page_token=token))
    assert len(pages) > 1
    assert all(page.messages and page.ByteSize() <= 1_048_576 + 4_096 for page in pages)
    assert [message.ordinal for page in pages for message in page.messages] == [1, 2, 3, 4, 5, 6]


async def test_an_answer_in_progress_is_not_yet_in_the_history(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("half "), gate("go"), text("whole")))
    session = await client.new_session(agent="universal")
    (accepted,) = await client.ask(session.id, "go", detach=True)
    await model.held("go")
    assert [message.role for message in await history(client, session.id)] == [USER]
    await client.cancel(session.id, accepted.turn_id)
    kept = (await history(client, session.id))[-1]
    assert (kept.content, kept.state) == ("half ", message_pb2.MESSAGE_STATE_INCOMPLETE)


async def test_the_model_gets_the_whole_history_in_order(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("first answer")), reply(text("second answer")))
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "first question")
    await client.ask(session.id, "second question")
    sent = (await model.calls())[-1]["body"]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in sent[1:]] == ["first question", "first answer", "second question"]


async def test_an_empty_history_is_an_empty_page(client: RuntimeClient) -> None:
    session = await client.new_session(agent="universal")
    page = await client.list_messages(session.id)
    assert (list(page.messages), page.next_page_token) == ([], "")
    assert kinds(await client.log(session.id)) == []
    async with refused() as refusal:
        await client.list_messages(session.id, roles=[message_pb2.MESSAGE_ROLE_UNSPECIFIED])
    assert list(refusal().fields) == ["roles[0]"]
