"""What calls ran with, what clients brought along, and what agents did is kept and shown."""

from __future__ import annotations

from services.domain.agent_context import SwitchSource
from services.domain.approval import Decision
from services.domain.message import Message
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import MessageAdded
from services.domain.turn import TurnState
from tests.support.conversation import command, done, handover, read, write
from tests.support.storage import (
    OWNER,
    Running,
    Storage,
)
from tests.support.stored_turns import (
    TOOLS,
    answered,
    approval_of,
    asked,
    decision,
    loaded,
    results,
    with_client_tools,
)


class TestAnEditedCall:
    EDITS = '{"path": "b.md", "content": "über — 文"}'

    async def edited(self, storage: Storage) -> tuple[Running, list[Message]]:
        running = await asked(storage, read("c0"), write("c1", "a.md"), write("c2", "c.md"))
        await storage.send(decision(await approval_of(storage, "c1"), Decision.APPROVE_WITH_EDITS, self.EDITS))
        return running, await storage.history(running.claim.session_key)

    async def test_is_shown_to_the_model_with_the_arguments_it_ran_with(self, storage: Storage) -> None:
        _, history = await self.edited(storage)
        [message] = [message for message in history if message.tool_calls]
        calls = {call.id: call for call in message.tool_calls}
        assert (calls["c1"].arguments_json, calls["c1"].arguments_edited) == (self.EDITS, True)
        assert [calls[id_].arguments_edited for id_ in ("c0", "c2")] == [False, False]
        assert calls["c2"] == write("c2", "c.md")

    async def test_is_shown_so_in_lists_of_messages(self, storage: Storage) -> None:
        _, history = await self.edited(storage)
        for newest_first in (False, True):
            page = await storage.reads.messages(
                OWNER, "s1", roles=(), turn_id=None, newest_first=newest_first, limit=100, after=None
            )
            assert list(page.items) == (history[::-1] if newest_first else history)

    async def test_keeps_what_the_model_wrote_beside(self, storage: Storage) -> None:
        running, _ = await self.edited(storage)
        record = (await loaded(storage, Lookup(call_ids=("c1",)))).known_calls["c1"]
        assert record.arguments_json == self.EDITS
        assert record.original_arguments_json == write("c1", "a.md").arguments_json
        events = await storage.events(running.claim.session_key)
        shown = [call for e in events if isinstance(e.payload, MessageAdded) for call in e.payload.message.tool_calls]
        assert write("c1", "a.md") in shown, "the log is never rewritten"

    async def test_edits_no_call_of_another_session(self, storage: Storage) -> None:
        await self.edited(storage)
        other = await asked(storage, write("c1", "a.md"), session_id="s2")
        [message] = [m for m in await storage.history(other.claim.session_key) if m.tool_calls]
        assert message.tool_calls == (write("c1", "a.md"),)


class TestClientTools:
    async def test_are_kept_as_they_were_declared(self, storage: Storage) -> None:
        key = await with_client_tools(storage)
        assert await storage.reads.client_tools(key) == TOOLS
        assert (await storage.reads.session(OWNER, "s1")).client_tools == TOOLS

    async def test_can_be_replaced_and_removed(self, storage: Storage) -> None:
        key = await with_client_tools(storage)
        for tools in (TOOLS[:1], ()):
            committed = await storage.change(lambda change, tools=tools: setattr(change, "client_tools", tools))  # type: ignore[misc]
            assert committed.view.client_tools == tools
            assert await storage.reads.client_tools(key) == tools

    async def test_are_those_of_one_session(self, storage: Storage) -> None:
        await with_client_tools(storage)
        other = (await storage.new_session("s2")).session.key
        await storage.change(lambda change: setattr(change, "client_tools", TOOLS[:1]))
        assert await storage.reads.client_tools(other) == ()


class TestAgents:
    async def test_leave_the_facts_of_their_work(self, storage: Storage) -> None:
        running = await asked(storage, write("c1", "a.py"), command("c2", "make всё"))
        for call_id in ("c1", "c2"):
            await storage.send(decision(await approval_of(storage, call_id)))
        await storage.send(results("c1", content='{"created": true}'))
        await storage.send(results("c2", content='{"exit_code": 0}'))
        view = await storage.reads.session(OWNER, "s1")
        work = view.context.work.coder
        assert work.files_created == ("a.py",)
        assert [(each.command, each.exit_code) for each in work.commands_executed] == [("make всё", 0)]
        assert work.commands_executed[0].execute_time == storage.clock.now()
        assert (await loaded(storage)).context == view.context
        assert running.claim.session_key == view.session.key

    async def test_hand_over_and_every_switch_is_listed_with_who_asked(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await answered(storage, running, handover("c1", "debug", "a trace"), handover("c2", "coder", "now code"))
        await storage.change(switch_by_hand)
        page = await storage.reads.switches(OWNER, "s1", newest_first=False, limit=10, after=None)
        assert [(s.ordinal, s.from_agent, s.to_agent, s.source, s.requested_by) for s in page.items] == [
            (1, "universal", "debug", SwitchSource.AGENT, "ann"),
            (2, "debug", "coder", SwitchSource.AGENT, "ann"),
            (3, "coder", "ask", SwitchSource.USER, "bob"),
        ]
        context = (await loaded(storage)).context
        assert (context.current_agent, context.switch_count, context.last_switch) == ("ask", 3, 3)

    async def test_may_give_a_reason_that_no_text_column_holds(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await answered(storage, running, handover("c1", "debug", "a\x00b"))
        assert (await loaded(storage)).context.current_agent == "debug"

    async def test_may_give_a_result_that_no_text_column_holds(self, storage: Storage) -> None:
        running = await asked(storage, done("c1", "all\x00done"))
        turn = await storage.reads.turn(OWNER, "s1", running.turn.id)
        assert turn.state is TurnState.COMPLETED


def switch_by_hand(change: SessionChange) -> None:
    change.switch_agent("ask", reason="", source=SwitchSource.USER, requested_by="bob")
