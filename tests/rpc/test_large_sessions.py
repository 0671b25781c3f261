"""A session with as much in it as the limits let in: it is read whole, in answers that every client takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, When, call, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, every_page, text_result

_MEBIBYTE = 1024 * 1024
_CALLS, _ROUNDS = 7, 3
_CONTENT = _CALLS * _ROUNDS * _MEBIBYTE


@asynccontextmanager
async def peak_of(process: RuntimeProcess) -> AsyncIterator[list[int]]:
    """By how much the process has grown at most; the list has it as its one item when the block is over."""
    watched = psutil.Process(process.pid)
    before, grown = watched.memory_info().rss, [0]

    async def sample() -> None:
        while True:
            grown[0] = max(grown[0], watched.memory_info().rss - before)
            await asyncio.sleep(0.002)

    sampling = asyncio.create_task(sample())
    try:
        yield grown
    finally:
        sampling.cancel()


async def test_the_largest_messages_are_read_whole_in_small_pages(
    runtime: RuntimeProcess, client: RuntimeClient, model: ScriptedModel
) -> None:
    largest = "ж" * (_MEBIBYTE // 2)
    made = [
        tool_calls(*(call("read_file", {"path": f"f{r}-{n}"}, id=f"c{r}-{n}") for n in range(_CALLS)))
        for r in range(_ROUNDS)
    ]
    # Long histories are summarised on the way, which is none of this test's business.
    at_work = When(has_tools=True)
    await model.play(*(reply(each, when=at_work) for each in made), reply(text("done"), repeat=True))
    session = await client.new_session(agent="coder")
    await client.ask(session.id, "ж" * (_MEBIBYTE // 8))
    for round_ in range(_ROUNDS):
        results = [text_result(f"c{round_}-{n}", largest) for n in range(_CALLS)]
        await client.tool_results(session.id, *results)
    async with peak_of(runtime) as grown:
        pages = await every_page(lambda token: client.list_messages(session.id, page_token=token, page_size=500))
        back = await every_page(
            lambda token: client.list_messages(session.id, page_token=token, page_size=500, newest_first=True)
        )
    listed = [message for page in pages for message in page.messages]
    assert [message.content for message in listed if message.tool_call_id] == [largest] * _CALLS * _ROUNDS
    assert [message for page in back for message in page.messages] == listed[::-1]
    assert all(len(page.messages) == 1 or page.ByteSize() <= _MEBIBYTE + 4096 for page in pages)
    # Of a session that is read as a whole for every page, there are five copies in memory at times.
    assert grown[0] < 2 * _CONTENT
    async with peak_of(runtime) as grown:
        log = await client.log(session.id)
    assert [event.message_added.message for event in log if event.HasField("message_added")] == listed
    assert grown[0] < 2 * _CONTENT
