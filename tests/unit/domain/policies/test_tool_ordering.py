"""Calls of one answer run in an order that means what the model wrote, and as much at once as that allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.tool_ordering import (
    CallKind,
    CallOrder,
    CallOutcome,
    CallPlan,
    NotRun,
    order_calls,
    plan_call,
)

OPEN, SUCCEEDED = CallOutcome.OPEN, CallOutcome.SUCCEEDED
FAILED, REJECTED, NOT_RUN = CallOutcome.FAILED, CallOutcome.REJECTED, CallOutcome.NOT_RUN


def read(call_id: str, *paths: str) -> CallPlan:
    return CallPlan(call_id, "read_file", CallKind.READ, paths)


def write(call_id: str, *paths: str) -> CallPlan:
    return CallPlan(call_id, "write_file", CallKind.WRITE, paths)


def command(call_id: str) -> CallPlan:
    return CallPlan(call_id, "execute_command", CallKind.COMMAND, (".",))


def other(call_id: str) -> CallPlan:
    return CallPlan(call_id, "of_the_client", CallKind.OTHER)


def test_three_reads_are_ready_at_once() -> None:
    order = order_calls([read("1", "a"), read("2", "a"), read("3", "b")], {})
    assert order == CallOrder(ready=("1", "2", "3"), waiting=(), not_run=())


def test_a_write_waits_for_earlier_reads_and_writes_of_its_path_alone() -> None:
    calls = [read("1", "a"), read("2", "b"), write("3", "a"), write("4", "c"), write("5", "a")]
    assert order_calls(calls, {}) == CallOrder(("1", "2", "4"), ("3", "5"), ())
    assert order_calls(calls, {"1": SUCCEEDED}) == CallOrder(("2", "3", "4"), ("5",), ())
    assert order_calls(calls, {"1": SUCCEEDED, "3": SUCCEEDED}).ready == ("2", "4", "5")


def test_a_read_waits_for_an_earlier_write_of_its_path() -> None:
    assert order_calls([write("1", "a"), read("2", "a"), read("3", "b")], {}) == CallOrder(("1", "3"), ("2",), ())


def test_an_open_call_is_still_waited_for_and_not_ordered_again() -> None:
    assert order_calls([read("1", "a"), write("2", "a")], {"1": OPEN}) == CallOrder((), ("2",), ())


def test_a_command_waits_for_all_earlier_writes_and_for_nothing_else() -> None:
    calls = [
        read("1", "q"),
        write("2", "a/b"),
        write("3", "c"),
        command("4"),
        command("5"),
        read("6", "x"),
        write("7", "y"),
    ]
    assert order_calls(calls, {}) == CallOrder(("1", "2", "3", "6", "7"), ("4", "5"), ())
    assert order_calls(calls, {"2": SUCCEEDED}).waiting == ("4", "5")
    assert order_calls(calls, {"2": SUCCEEDED, "3": SUCCEEDED}).waiting == ()


def test_an_approval_holds_only_its_own_call() -> None:
    # The command waits for a person: it stays without an outcome, and everything else goes on.
    calls = [command("1"), read("2", "a"), write("3", "a"), other("4")]
    assert order_calls(calls, {"2": SUCCEEDED}) == CallOrder(("1", "3", "4"), (), ())


def test_a_directory_contains_its_files() -> None:
    assert order_calls([write("1", "src/app/x.py"), read("2", "src"), read("3", ".")], {}).waiting == ("2", "3")
    assert order_calls([write("1", "src"), read("2", "src/app/x.py"), read("3", "src2/x.py")], {}).waiting == ("2",)


def test_spellings_of_one_path_are_one_path() -> None:
    assert order_calls([write("1", "a/./b/../X.py"), read("2", "A//x.py")], {}).waiting == ("2",)


def test_a_move_touches_both_ends() -> None:
    move = CallPlan("1", "move_file", CallKind.WRITE, ("a", "b"))
    assert order_calls([move, read("2", "a"), read("3", "b"), read("4", "c")], {}) == CallOrder(
        ("1", "4"), ("2", "3"), ()
    )


def test_a_call_that_does_not_say_what_it_touches_touches_everything() -> None:
    assert order_calls([write("1"), read("2", "a")], {}).waiting == ("2",)


def test_after_a_rejected_or_failed_write_commands_and_writes_of_the_path_are_not_run() -> None:
    calls = [write("1", "a"), write("2", "a"), write("3", "b"), read("4", "a"), command("5")]
    for outcome in (FAILED, REJECTED, NOT_RUN):
        order = order_calls(calls, {"1": outcome})
        # The read still waits for nothing: the second write of its path will not happen either.
        assert order == CallOrder(ready=("3", "4"), waiting=(), not_run=(NotRun("2", "1"), NotRun("5", "1")))


def test_a_command_is_given_up_at_once_though_other_writes_are_open() -> None:
    calls = [write("1", "a"), write("2", "b"), command("3")]
    assert order_calls(calls, {"1": OPEN, "2": REJECTED}).not_run == (NotRun("3", "2"),)


def test_what_was_not_run_takes_what_builds_on_it_along() -> None:
    move = CallPlan("2", "move_file", CallKind.WRITE, ("a", "b"))
    calls = [write("1", "a"), move, write("3", "b"), read("4", "b")]
    order = order_calls(calls, {"1": REJECTED})
    assert order.not_run == (NotRun("2", "1"), NotRun("3", "2"))
    assert order_calls(calls, {"1": REJECTED, "2": NOT_RUN, "3": NOT_RUN}).ready == ("4",)


def test_a_failed_read_or_command_stops_nothing() -> None:
    calls = [read("1", "a"), command("2"), write("3", "a"), command("4")]
    assert order_calls(calls, {"1": FAILED, "2": FAILED}) == CallOrder(("3",), ("4",), ())


def test_plans_of_built_in_tools() -> None:
    assert plan_call("1", "list_files", {}) == CallPlan("1", "list_files", CallKind.READ, (".",))
    assert plan_call("1", "search_in_code", {"query": "x", "path": "src"}).paths == ("src",)
    assert plan_call("1", "move_file", {"source": "a", "destination": "b"}).paths == ("a", "b")
    assert plan_call("1", "move_file", {"source": "a", "destination": "b"}).kind is CallKind.WRITE
    assert plan_call("1", "execute_command", {"command": "ls"}).kind is CallKind.COMMAND
    assert plan_call("1", "write_file", {"path": 3}).kind is CallKind.WRITE
    assert plan_call("1", "their_tool", {"path": "a"}) == CallPlan("1", "their_tool", CallKind.OTHER)


_PATHS = st.sampled_from(["a", "a/b", "a/c", "b", ".", "B/../b"])
_CALLS = st.lists(
    st.tuples(st.sampled_from(CallKind), st.lists(_PATHS, max_size=2)),
    max_size=10,
).map(lambda drawn: [CallPlan(str(n), kind, kind, tuple(paths)) for n, (kind, paths) in enumerate(drawn)])
_FINAL = [SUCCEEDED, FAILED, REJECTED]


@given(_CALLS, st.dictionaries(st.integers(0, 9).map(str), st.sampled_from(CallOutcome)))
def test_every_call_without_an_outcome_is_in_exactly_one_place(
    calls: list[CallPlan], outcomes: dict[str, CallOutcome]
) -> None:
    order = order_calls(calls, outcomes)
    placed = [*order.ready, *order.waiting, *(call.id for call in order.not_run)]
    assert sorted(placed) == sorted(call.id for call in calls if call.id not in outcomes)
    if order.waiting:
        assert order.ready or order.not_run or OPEN in outcomes.values()


@given(st.lists(st.lists(_PATHS, max_size=2), max_size=8))
def test_reads_are_all_ready_at_once(paths: list[list[str]]) -> None:
    calls = [read(str(n), *each) for n, each in enumerate(paths)]
    assert order_calls(calls, {}).ready == tuple(call.id for call in calls)


@given(_CALLS, st.data())
def test_whatever_happens_every_call_ends_and_none_overtakes_what_it_builds_on(
    calls: list[CallPlan], data: st.DataObject
) -> None:
    outcomes: dict[str, CallOutcome] = {}
    while len(outcomes) < len(calls) or OPEN in outcomes.values():
        order = order_calls(calls, outcomes)
        outcomes.update((given_up.id, NOT_RUN) for given_up in order.not_run)
        running = [call_id for call_id, outcome in outcomes.items() if outcome is OPEN]
        assert order.ready or order.not_run or running, "nothing can go on"
        for call_id in order.ready:
            position = int(call_id)
            for earlier in calls[:position]:
                if outcomes.get(earlier.id, OPEN) in (OPEN, FAILED, REJECTED, NOT_RUN):
                    assert not _must_precede(earlier, calls[position], outcomes.get(earlier.id, OPEN))
        if order.ready and (not running or data.draw(st.booleans())):
            outcomes[data.draw(st.sampled_from(order.ready))] = OPEN
        elif running:
            outcomes[data.draw(st.sampled_from(running))] = data.draw(st.sampled_from(_FINAL))


def _must_precede(earlier: CallPlan, later: CallPlan, outcome: CallOutcome) -> bool:
    """The rules once more, by hand, for calls with literally the same path."""
    same = bool(set(earlier.paths) & set(later.paths))
    if earlier.kind is CallKind.WRITE and later.kind is CallKind.COMMAND:
        return True
    if earlier.kind is CallKind.WRITE and later.kind is CallKind.WRITE:
        return same
    if earlier.kind is CallKind.WRITE and later.kind is CallKind.READ:
        return same and outcome is OPEN
    if earlier.kind is CallKind.READ and later.kind is CallKind.WRITE:
        return same and outcome is OPEN
    return False
