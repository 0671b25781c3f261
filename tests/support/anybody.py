"""A session and everybody who may do something in it, at any moment: what can happen, as chance has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from services.application.turns.routing_steps import Route, take_route
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import SwitchSource
from services.domain.approval import Decision, Remember
from services.domain.errors import RuntimeServiceError
from services.domain.input import ApprovalDecision, BusyPolicy, FollowupAnswer, ToolResult, UserMessage
from services.domain.message import MessageToolCall
from services.domain.model_exchange import FinishReason
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.session_change import Removal, SessionChange
from services.domain.session_events import MessagesCleared
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCallState
from services.domain.turn import CallerLimits, TurnState
from tests.support.conversation import Conversation, call, command, done, handover, question, read, write

IDS = ("", "x" * 129, *(f"c{n}" for n in range(1, 9)))
AGENTS = ("orchestrator", "coder", "architect", "debug", "ask", "universal")
CLIENT_TOOLS = (
    ClientTool("deploy", "", '{"type": "object", "properties": {}}'),
    ClientTool("peek", "", '{"type": "object", "properties": {}}', read_only=True),
)
NO_REMOVING = ApprovalRule(
    "no-rm",
    "execute_command",
    ApprovalEffect.DENY,
    RuleScope.GLOBAL,
    RuleOrigin.CONFIG,
    (Condition("command", ConditionOperator.CONTAINS, "rm"),),
)
LET_LIST = ApprovalRule(
    "let-ls",
    "execute_command",
    ApprovalEffect.ALLOW,
    RuleScope.GLOBAL,
    RuleOrigin.CONFIG,
    (Condition("command", ConditionOperator.EQ, "ls"),),
)
WANTED = (
    *(read("", path) for path in ("a.py", "./a.py", "src", "../x", "/etc/passwd")),
    *(write("", path) for path in ("a.py", "b.md", "src/x.py", "a.md/../b.py", "x.py\x00.md")),
    *(command("", text) for text in ("pytest", "ls", "rm -rf .")),
    *(handover("", mode) for mode in ("coder", "architect", "ask", "orchestrator", "nobody")),
    *(done("", text) for text in ("fine", "")),
    *(question("", text) for text in ("Which?", "Sure?")),
    call("", "list_files"),
    call("", "create_directory", path="src"),
    call("", "write_file", path="a.py"),
    call("", "write_file", path="a.py", content=1),
    call("", "deploy"),
    call("", "peek"),
    call("", "teleport", to="Mars"),
    call("", "write file!", path="a.py", content=""),
    *(MessageToolCall("", "write_file", text) for text in ("", "{", "[]", "null", '{"path": "a.py", "path": "b.py"}')),
)
SENSIBLE = (
    *(read("", path) for path in ("a.py", "src")),
    *(write("", path) for path in ("a.py", "b.md", "src/x.py")),
    *(command("", text) for text in ("pytest", "ls")),
    call("", "list_files"),
    call("", "deploy"),
    done(""),
    question(""),
)
TIGHT = TurnLimits(
    model_calls=6,
    tool_calls=15,
    agent_switches=1,
    running_time=60,
    tool_result_wait=60,
    approval_wait=40,
    followup_wait=80,
    tool_result_bytes=100,
)
ALLOWANCES = (
    *[None] * 6,
    CallerLimits(model_calls=2),
    CallerLimits(tool_calls=2),
    CallerLimits(agent_switches=0),
    CallerLimits(tokens=5),
    CallerLimits(running_time=20.0),
)
PATIENT = TurnLimits(approval_wait=None, tool_result_bytes=100)
TRUSTING = replace(TIGHT, release_expired=True)
CONTENTS = ("", " ", "fine", "0", "false", "[]", '{"created": true, "exit_code": 1}', "y" * 101)
EDITS = (
    '{"path": "b.py", "content": "y"}',
    '{"path": "../b", "content": ""}',
    "{",
    '{"command": "ls"}',
    '{"command": "rm"}',
    "{}",
)


class Anybody:
    """A session, and everybody who may do something in it at any moment. What may happen is a method of `MAY_HAPPEN`;
    it does nothing where it cannot happen. In a `crowd` other sessions of the owner take the places to run.
    """

    def __init__(self, random: Random, *, crowd: bool = False) -> None:
        self.random = random
        self.talk = Conversation(
            agent=random.choice(["coder", *AGENTS]),
            limits=random.choice([TurnLimits(), TIGHT, PATIENT, TRUSTING]),
            client_tools=CLIENT_TOOLS,
            rules=(NO_REMOVING, LET_LIST),
        )
        self.memory = self.talk.memory
        self.memory.most_running = 2 if crowd else None
        self.sent: dict[str, ToolResult] = {}

    def live(self) -> None:
        """Something happens that changes the session, perhaps after much that changes nothing."""
        before = len(self.memory.changes)
        while len(self.memory.changes) == before:
            [happens] = self.random.choices(list(MAY_HAPPEN), weights=list(MAY_HAPPEN.values()))
            print(happens.__name__)  # shown when it goes wrong
            happens(self)

    @property
    def works(self) -> bool:
        turn = self.memory.turn
        return turn is not None and turn.state is TurnState.RUNNING and turn.agent != "orchestrator"

    @property
    def waits(self) -> bool:
        return self.memory.turn is not None and self.memory.turn.wait is not None

    def may(self, happen: Callable[[], object]) -> bool:
        """Something may be refused, with a reason; then nothing has changed."""
        before = self.what_there_is()
        try:
            happen()
        except RuntimeServiceError:
            assert before == self.what_there_is(), "refused, and changed something"
            return False
        return True

    def what_there_is(self) -> object:
        memory = self.memory
        return memory.last_sequence, list(memory.messages), memory.turn, memory.context, dict(memory.inputs)

    def somebody_speaks(self) -> None:
        self.say_something(BusyPolicy.REJECT)

    def somebody_has_more_to_say(self) -> None:
        self.say_something(self.random.choice([BusyPolicy.QUEUE, BusyPolicy.STEER]))

    def somebody_cannot_wait(self) -> None:
        self.say_something(BusyPolicy.INTERRUPT)

    def say_something(self, policy: BusyPolicy) -> None:
        agent = self.random.choice([None, None, None, "coder", *AGENTS])
        message = UserMessage("do something", agent, policy, self.random.choice(ALLOWANCES))
        active = self.memory.turn.id if self.memory.turn is not None else ""
        expected = self.random.choice(["", "", "", active, "turn_0"])
        taken = self.may(lambda: self.talk.send(message, expected_turn_id=expected))
        assert not taken or expected in ("", active), "said in another turn than it was meant for"

    def somebody_takes_a_message_back(self) -> None:
        pending = self.memory.load().pending_inputs
        if pending:
            self.talk.withdraw(self.random.choice(pending).id)

    def somebody_resumes(self) -> None:
        limits = self.random.choice(ALLOWANCES)
        was_active, before = self.memory.turn is not None, len(self.memory.messages)
        if self.may(lambda: self.talk.resume(limits)) and not was_active:
            assert self.talk.is_running
            assert len(self.memory.messages) == before, "nothing is said or done again"

    def the_model_wants_anything(self) -> None:
        if self.works:
            self.talk.model(*self.some_calls(WANTED), text=self.random.choice(["", " ", "Let me see."]))

    def the_model_wants_what_it_may(self) -> None:
        if self.works:
            self.talk.model(*self.some_calls(SENSIBLE))

    def some_calls(self, wanted: Sequence[MessageToolCall]) -> list[MessageToolCall]:
        chosen = self.random.choices(wanted, k=self.random.choice([1, 1, 2, 3, 4, 6]))
        return [replace(each, id=self.random.choice(IDS)) for each in chosen]

    def the_model_finishes(self) -> None:
        if self.works:
            self.talk.model(text=self.random.choice(["Done.", "Done.", " "]))

    def a_filter_stops_the_model(self) -> None:
        if self.works:
            calls = self.random.choice([[], self.some_calls(WANTED)])
            self.talk.model(*calls, text="I", finish_reason=FinishReason.CONTENT_FILTER)

    def the_model_fails(self) -> None:
        if self.talk.memory.turn is not None and self.talk.is_running:
            self.talk.model_fails(said=self.random.choice(["", "half a sent"]))

    def the_model_streams(self) -> None:
        if self.works:
            self.memory.stream("half a ")

    def the_router_chooses(self) -> None:
        if self.memory.turn is not None and self.talk.is_running and not self.works:
            agent = self.random.choice(["coder", "coder", "architect", "debug", "ask"])
            route = Route(agent, "because", SwitchSource.ROUTER, "high")
            self.memory.change(lambda change: take_route(change, route, None, self.talk.limits), is_step=True)

    def the_client_sends_any_results(self) -> None:
        known = [*self.memory.calls, "c0"]
        ids = self.random.sample(known, k=min(len(known), self.random.randint(1, 4)))
        self.take(*(self.some_result(call_id) for call_id in ids))

    def the_client_sends_what_it_was_asked_for(self) -> None:
        if self.waits and self.talk.paused.open_tool_call_ids:
            open_ids = self.talk.paused.open_tool_call_ids
            ids = self.random.sample(open_ids, k=self.random.randint(1, len(open_ids)))
            self.take(*(self.some_result(call_id) for call_id in ids))

    def some_result(self, call_id: str) -> ToolResult:
        return ToolResult(call_id, self.random.choice(CONTENTS), is_error=self.random.random() < 0.2)

    def take(self, *results: ToolResult) -> None:
        were_open = {id_ for id_, each in self.memory.calls.items() if each.state is ToolCallState.OPEN}
        self.may(lambda: self.talk.results(*results))
        for sent in results:
            if sent.tool_call_id in were_open and self.talk.record(sent.tool_call_id).input_id:
                self.sent[sent.tool_call_id] = sent

    def the_client_sends_a_result_again(self) -> None:
        if not self.sent:
            return
        again = self.random.choice(list(self.sent.values()))
        change = self.talk.results(again)
        assert change.writes_nothing
        assert not change.tool_calls
        assert self.talk.accepted is not None
        assert self.talk.accepted.input_id == self.talk.record(again.tool_call_id).input_id

    def a_person_decides_anything(self) -> None:
        if not self.memory.approvals:
            return
        approval = self.random.choice(list(self.memory.approvals.values()))
        decision = self.random.choice(list(Decision))
        edits = self.random.choice(EDITS) if decision is Decision.APPROVE_WITH_EDITS else ""
        shown = self.random.choice([approval.arguments_hash] * 4 + ["0" * 64])
        feedback = self.random.choice(["", "please"])
        remember = self.random.choice([Remember.NONE, Remember.NONE, Remember.SESSION])
        content = ApprovalDecision(approval.id, shown, decision, edits, feedback, remember)
        taken = self.may(lambda: self.talk.send(content))
        assert not taken or shown == approval.arguments_hash, "a decision about something else"
        assert not taken or approval.can_remember or remember is Remember.NONE, "remembered what always asks"

    def a_person_decides_about_what_waits(self) -> None:
        if self.talk.pending:
            approval = self.talk.approval(self.random.choice(self.talk.pending))
            edits = '{"path": "b.md", "content": "y"}' if approval.tool_name == "write_file" else ""
            choices = [Decision.APPROVE, Decision.APPROVE, Decision.REJECT]
            decision = self.random.choice([*choices, Decision.APPROVE_WITH_EDITS] if edits else choices)
            edits = edits if decision is Decision.APPROVE_WITH_EDITS else ""
            denied = any(
                rule.tool == approval.tool_name and rule.effect is ApprovalEffect.DENY for rule in self.memory.rules
            )
            taken = self.may(lambda: self.talk.decide(approval.tool_call_id, decision, edits=edits))
            assert taken or (denied and decision is not Decision.REJECT)

    def the_user_answers(self) -> None:
        if self.waits and self.talk.paused.followup:
            followup_id = self.random.choice([self.talk.followup.id] * 3 + ["followup_0"])
            option = self.random.choice(["option_1", "option_2", "option_3", None])
            text = "green" if option is None else None
            self.may(lambda: self.talk.send(FollowupAnswer(followup_id, option, text)))

    def the_turn_is_cancelled(self) -> None:
        if self.memory.turn is not None:
            self.talk.cancel(withdraw_pending=self.random.random() < 0.5)

    def something_of_ours_breaks(self) -> None:
        if self.memory.turn is not None:
            self.talk.fault()

    def time_passes(self) -> None:
        seconds = self.random.choice([1, 1, 1, 10, 30, 45, 70, 1000])
        was_due = self.finds_a_place or (self.waits and self.is_due(seconds))
        change = self.talk.wait(seconds)
        assert bool(change.events) == was_due
        assert not self.talk.wait(0).events, "a wait ends once"

    @property
    def finds_a_place(self) -> bool:
        """Whether a message that waits for nothing but a place can have one."""
        loaded, most = self.memory.load(), self.memory.most_running
        waits_for_it = loaded.turn is None and bool(loaded.pending_inputs)
        return waits_for_it and (most is None or loaded.running_turns < most)

    def others_come_and_go(self) -> None:
        if self.memory.most_running is not None:
            self.memory.running_elsewhere = self.random.choice([0, 1, 2, 3])

    def is_due(self, seconds: float) -> bool:
        end = self.talk.paused.expire_time
        return end is not None and (end - self.memory.database_now).total_seconds() <= seconds

    def the_process_dies(self) -> None:
        if self.memory.turn is not None and self.talk.is_running:
            self.talk.crash()

    def the_user_switches(self) -> None:
        self.may(lambda: self.talk.switch(self.random.choice(AGENTS)))

    def the_history_is_cleared(self) -> None:
        if self.memory.turn is None and self.may(lambda: self.memory.change(clear)):
            self.sent.clear()


MAY_HAPPEN: dict[Callable[[Anybody], None], int] = {
    Anybody.somebody_speaks: 8,
    Anybody.somebody_has_more_to_say: 6,
    Anybody.somebody_cannot_wait: 1,
    Anybody.somebody_takes_a_message_back: 2,
    Anybody.somebody_resumes: 3,
    Anybody.the_model_wants_anything: 12,
    Anybody.the_model_wants_what_it_may: 12,
    Anybody.the_model_finishes: 2,
    Anybody.a_filter_stops_the_model: 1,
    Anybody.the_model_fails: 1,
    Anybody.the_model_streams: 2,
    Anybody.the_router_chooses: 12,
    Anybody.the_client_sends_any_results: 6,
    Anybody.the_client_sends_what_it_was_asked_for: 16,
    Anybody.the_client_sends_a_result_again: 4,
    Anybody.a_person_decides_anything: 6,
    Anybody.a_person_decides_about_what_waits: 16,
    Anybody.the_user_answers: 8,
    Anybody.the_turn_is_cancelled: 1,
    Anybody.something_of_ours_breaks: 1,
    Anybody.time_passes: 4,
    Anybody.others_come_and_go: 4,
    Anybody.the_process_dies: 2,
    Anybody.the_user_switches: 2,
    Anybody.the_history_is_cleared: 1,
}


def clear(change: SessionChange) -> None:
    """As ClearMessages does."""
    change.check_idle()
    change.removal = Removal.MESSAGES
    change.session = replace(change.session, message_count=0, history_bytes=0)
    change.append(MessagesCleared(0))
