"""A summary is stored whole with its event, stands for what it says on every replica, and follows forks and clears."""

from __future__ import annotations

from dataclasses import replace

from services.application.ports import Principal
from services.application.sessions.clear_messages import ClearMessages
from services.application.turns.compaction_steps import begin_summary, take_summary
from services.application.turns.context_planner import Compacted
from services.domain.context_summary import ContextSummary
from services.domain.input import UserMessage
from services.domain.message import Message
from services.domain.model_exchange import Usage
from services.domain.session_change import SessionChange
from services.domain.session_events import ContextCompacted
from tests.support.storage import CORRELATION, LIMITS, OWNER, Running, Storage, an_answer

ANN = Principal("ann", OWNER)


async def listed(storage: Storage, session_id: str = "s1") -> list[Message]:
    page = await storage.reads.messages(
        OWNER, session_id, roles=(), turn_id=None, newest_first=False, limit=100, after=None
    )
    return list(page.items)


async def talk(storage: Storage, turns: int) -> Running:
    """So many turns with an answer each, and one more that runs; its message is the last of an odd number."""
    await storage.new_session()
    for number in range(turns):
        await storage.answer(await storage.start(text=f"question {number}"), f"answer {number}")
    return await storage.start(text="the last")


async def summarise(storage: Storage, running: Running, through: int, *kept: int, text: str = "it was so") -> None:
    """What the runner does: the call is counted, then the summary stored with its event and its cost."""
    history = {message.ordinal: message for message in await listed(storage)}
    gone = [ordinal for ordinal in history if ordinal <= through and ordinal not in kept]
    first, last = history[gone[0]].id, history[gone[-1]].id
    summary = ContextSummary(text, through, kept, gone[0], first, last, storage.clock.now())
    compacted = Compacted(summary, ContextCompacted(100, 10, first, last))
    answer = replace(an_answer(text), usage=Usage(90, 9))

    def begin(change: SessionChange) -> None:
        begin_summary(change, LIMITS)

    await storage.store.step(running.claim, begin, correlation_id=CORRELATION)
    await storage.store.step(
        running.claim, lambda change: take_summary(change, answer, compacted), correlation_id=CORRELATION
    )


async def seen(storage: Storage, key: int) -> tuple[list[int], str]:
    """The ordinals that the model sees word for word, and the summary."""
    view = await storage.reads.model_view(key)
    return [message.ordinal for message in view.messages], view.summary.text if view.summary else ""


async def test_it_replaces_what_it_says_for_the_model_and_nothing_for_anybody_else(storage: Storage) -> None:
    running = await talk(storage, 4)
    key, before = running.claim.session_key, await listed(storage)
    assert await seen(storage, key) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], "")
    await summarise(storage, running, 6, 1)
    assert await seen(storage, key) == ([1, 7, 8, 9], "it was so")
    assert await listed(storage) == before
    summary = (await storage.reads.model_view(key)).summary
    assert summary is not None
    assert (summary.first_message_id, summary.last_message_id) == (before[1].id, before[5].id)
    compacted = [e.payload for e in await storage.events(key) if isinstance(e.payload, ContextCompacted)]
    assert compacted == [ContextCompacted(100, 10, before[1].id, before[5].id)]


async def test_a_later_one_takes_its_place(storage: Storage) -> None:
    running = await talk(storage, 4)
    await summarise(storage, running, 4, 1, 3)
    assert await seen(storage, running.claim.session_key) == ([1, 3, 5, 6, 7, 8, 9], "it was so")
    await summarise(storage, running, 8, 1, text="so it went")
    assert await seen(storage, running.claim.session_key) == ([1, 9], "so it went")


async def test_its_cost_is_the_turn_s_and_the_session_s(storage: Storage) -> None:
    running = await talk(storage, 1)
    await summarise(storage, running, 2, 1)
    committed = await storage.answer(running, "done")
    turn = committed.present().turn
    assert turn is not None
    assert (turn.model_calls, turn.usage) == (2, Usage(91, 10))
    usage = await storage.reads.session_usage(OWNER, "s1")
    assert (usage.model_calls, usage.usage, usage.completed_turns) == (3, Usage(92, 11), 2)
    assert usage.models["scripted"].model_calls == 3


async def test_clearing_removes_it(storage: Storage) -> None:
    running = await talk(storage, 3)
    await summarise(storage, running, 4, 1)
    await storage.answer(running, "done")
    await ClearMessages(storage.store).execute(ANN, session_id="s1", request_id="", correlation_id=CORRELATION)
    assert await seen(storage, running.claim.session_key) == ([], "")
    again = await storage.start(text="anew")
    assert await seen(storage, again.claim.session_key) == ([9], "")


async def test_a_fork_has_it_if_it_has_all_it_tells_of(storage: Storage) -> None:
    running = await talk(storage, 4)
    await summarise(storage, running, 6, 1)
    await storage.answer(running, "done")
    history = await listed(storage)

    async def forked(name: str, until: str = "") -> tuple[list[int], str]:
        view, _ = await storage.store.fork(
            OWNER, "s1", name, title=None, until_message_id=until, correlation_id=CORRELATION, key=None
        )
        return await seen(storage, view.session.key)

    assert await forked("whole") == ([1, 7, 8, 9, 10], "it was so")
    assert await forked("exactly", history[5].id) == ([1], "it was so")
    assert await forked("less", history[4].id) == ([1, 2, 3, 4, 5], "")
    whole = await storage.reads.model_view((await storage.reads.locate(OWNER, "whole")).session_key)
    copies = await listed(storage, "whole")
    assert whole.summary is not None
    assert (whole.summary.first_message_id, whole.summary.last_message_id) == (copies[1].id, copies[5].id)


async def test_a_fork_of_a_session_that_was_cleared_counts_its_messages_anew(storage: Storage) -> None:
    running = await talk(storage, 2)
    await storage.answer(running, "done")
    await ClearMessages(storage.store).execute(ANN, session_id="s1", request_id="", correlation_id=CORRELATION)
    for number in range(3):
        await storage.answer(await storage.start(text=f"question {number}"), f"answer {number}")
    running = storage.run(await storage.send(UserMessage("the last")))
    await summarise(storage, running, 10, 7)
    assert await seen(storage, running.claim.session_key) == ([7, 11, 12, 13], "it was so")
    await storage.answer(running, "done")
    view, _ = await storage.store.fork(
        OWNER, "s1", "s2", title=None, until_message_id="", correlation_id=CORRELATION, key=None
    )
    assert await seen(storage, view.session.key) == ([1, 5, 6, 7, 8], "it was so")
    assert (await storage.reads.session_usage(OWNER, "s2")).ended_turns == 0
