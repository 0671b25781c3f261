"""Messages that wait: storage keeps them, hands them over with the end of a turn, and knows what became of each."""

from __future__ import annotations

import asyncio

import pytest

from services.application.messages.withdraw_input import WithdrawInput
from services.application.ports import FencedError, InputProgress, Principal
from services.application.turns.inputs.accepted_input import withdraw_input
from services.application.turns.outside_steps import cancel_turn
from services.domain.errors import InputNotFoundError, QueueFullError
from services.domain.input import BusyPolicy, InputState, Resume, UserMessage
from services.domain.session_change import SessionChange
from services.domain.session_events import InputWithdrawn, TurnStarted
from services.domain.turn import CallerLimits, CancelCause, TurnStartCause, TurnState
from tests.conformance.test_removal import SECRET, rows_with
from tests.support.anybody import clear
from tests.support.conversation import read
from tests.support.storage import CORRELATION, OWNER, Running, Storage, kinds, sequences
from tests.support.stored_turns import RUNS, asked, delete, loaded, results


async def waits(storage: Storage, text: str, policy: BusyPolicy = BusyPolicy.QUEUE, **fields: object) -> str:
    """The id of a message that now waits in the session."""
    message = UserMessage(text, busy_policy=policy, **fields)  # type: ignore[arg-type]
    return (await storage.send(message)).outcome


async def waiting(storage: Storage) -> list[str]:
    pending = await storage.reads.pending_inputs(OWNER, "s1")
    return [each.message.text for each in pending if each.message is not None]


async def progress(storage: Storage, running: Running, input_id: str) -> InputProgress:
    return await storage.reads.input_progress(running.claim.session_key, input_id)


async def states(storage: Storage) -> list[TurnState]:
    turns = (await storage.reads.turns(OWNER, "s1", states=(), limit=100, after=None)).items
    return [turn.state for turn in reversed(turns)]


async def said(storage: Storage, running: Running) -> list[str]:
    return [message.content for message in await storage.history(running.claim.session_key)]


def cancel(change: SessionChange) -> None:
    cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann")


class TestAMessageThatWaits:
    async def test_is_loaded_and_shown_with_everything_it_will_need(self, storage: Storage) -> None:
        await storage.start_in_new_session()
        limits = CallerLimits(model_calls=3, running_time=2.5)
        input_id = await waits(storage, "второе", agent="coder", limits=limits)
        [pending] = (await loaded(storage)).pending_inputs
        assert (pending.id, pending.state, pending.turn_id) == (input_id, InputState.PENDING, "")
        assert pending.message == UserMessage("второе", "coder", BusyPolicy.QUEUE, limits)
        assert (pending.principal, pending.correlation_id) == (OWNER, CORRELATION)
        assert await storage.reads.pending_inputs(OWNER, "s1") == [pending]
        assert (await storage.reads.snapshot(OWNER, "s1")).pending_inputs == (pending,)
        assert await storage.reads.input(OWNER, "s1", input_id) == pending

    async def test_is_no_part_of_the_history_until_it_is_taken(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await waits(storage, "second")
        assert await said(storage, running) == ["hello"]
        await storage.answer(running, "Hi.")
        assert await said(storage, running) == ["hello", "Hi.", "second"]

    async def test_is_listed_behind_those_that_steer(self, storage: Storage) -> None:
        await storage.start_in_new_session()
        for text, policy in [
            ("q1", BusyPolicy.QUEUE),
            ("s1", BusyPolicy.STEER),
            ("q2", BusyPolicy.QUEUE),
            ("s2", BusyPolicy.STEER),
        ]:
            await waits(storage, text, policy)
        assert await waiting(storage) == ["s1", "s2", "q1", "q2"]
        shown = (await storage.reads.snapshot(OWNER, "s1")).pending_inputs
        assert [each.message.text for each in shown if each.message] == ["s1", "s2", "q1", "q2"]

    async def test_is_one_of_eight_at_most_whoever_comes_at_once(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        outcomes = await asyncio.gather(*(waits(storage, f"m{n}") for n in range(12)), return_exceptions=True)
        assert sum(isinstance(outcome, QueueFullError) for outcome in outcomes) == 4
        assert len(await waiting(storage)) == 8
        events = await storage.events(running.claim.session_key)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))

    async def test_waits_in_its_own_session_alone(self, storage: Storage) -> None:
        await storage.start_in_new_session("s1")
        await storage.start_in_new_session("s2")
        input_id = await waits(storage, "second")
        assert await storage.reads.pending_inputs(OWNER, "s2") == []
        with pytest.raises(InputNotFoundError):
            await storage.reads.input(OWNER, "s2", input_id)


class TestTheEndOfATurn:
    async def test_starts_the_next_one_in_the_same_change_under_the_same_claim(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")
        before = (await storage.reads.locate(OWNER, "s1")).last_sequence
        committed = await storage.answer(running, "Hi.")
        assert kinds(committed.events) == [
            "MessageAdded",
            "UsageReported",
            "TurnCompleted",
            "MessageAdded",
            "TurnStarted",
        ]
        assert sequences(committed.events) == list(range(before + 1, before + 6))
        assert committed.events[-1].payload == TurnStarted("universal", TurnStartCause.QUEUED_INPUT, input_id, "")
        assert await states(storage) == [TurnState.COMPLETED, TurnState.RUNNING]
        # Whoever ended the one runs the other: the claim still holds.
        await storage.answer(running, "And hi again.")
        assert await states(storage) == [TurnState.COMPLETED, TurnState.COMPLETED]
        assert await waiting(storage) == []

    async def test_by_a_command_gives_the_next_one_to_whoever_commits_it(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await waits(storage, "second")
        committed = await storage.change(cancel)
        assert committed.claim is not None
        assert committed.claim.epoch > running.claim.epoch
        assert await states(storage) == [TurnState.CANCELLED, TurnState.RUNNING]
        with pytest.raises(FencedError):
            await storage.answer(running, "too late")
        await storage.answer(storage.run(committed), "Hi.")
        assert await states(storage) == [TurnState.CANCELLED, TurnState.COMPLETED]

    async def test_takes_one_at_a_time_in_their_order(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        for text in ("second", "third"):
            await waits(storage, text)
        await storage.answer(running, "1")
        assert await waiting(storage) == ["third"]
        await storage.answer(running, "2")
        await storage.answer(running, "3")
        assert await said(storage, running) == ["hello", "1", "second", "2", "third", "3"]
        numbers = [turn.id for turn in (await storage.reads.turns(OWNER, "s1", states=(), limit=9, after=None)).items]
        assert len(set(numbers)) == 3

    async def test_with_an_interruption_ends_one_and_starts_another(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, "half a sent")
        await storage.published.until_said(running.claim, "half a sent")
        await waits(storage, "later")
        committed = await storage.send(UserMessage("now!", busy_policy=BusyPolicy.INTERRUPT))
        assert await states(storage) == [TurnState.CANCELLED, TurnState.RUNNING]
        assert await said(storage, running) == ["hello", "half a sent", "now!"]
        assert await waiting(storage) == ["later"]
        with pytest.raises(FencedError):
            await storage.answer(running, "too late")
        assert committed.claim is not None


class TestAMessageThatSteers:
    async def test_enters_before_the_next_model_call(self, storage: Storage) -> None:
        running = await asked(storage, read("c1"))
        await waits(storage, "look at b.py", BusyPolicy.STEER)
        assert await waiting(storage) == ["look at b.py"]
        await storage.send(results("c1"))
        assert (await said(storage, running))[-2:] == ["fine", "look at b.py"]
        assert await waiting(storage) == []
        assert await states(storage) == [TurnState.RUNNING]

    async def test_starts_the_next_turn_when_this_one_ends_first(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await waits(storage, "queued")
        input_id = await waits(storage, "steering", BusyPolicy.STEER)
        committed = await storage.answer(running, "Done.")
        assert committed.events[-1].payload == TurnStarted("universal", TurnStartCause.STEERED_INPUT, input_id, "")
        assert await waiting(storage) == ["queued"]


class TestWithdrawing:
    async def test_takes_a_message_back_for_good(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")
        withdraw = WithdrawInput(storage.store, storage.reads)
        for _ in range(2):  # the repeat finds what the first one did
            withdrawn, position = await withdraw.execute(
                Principal(OWNER, OWNER), session_id="s1", input_id=input_id, request_id="r1", correlation_id=CORRELATION
            )
            assert (withdrawn.id, withdrawn.state, position) == (input_id, InputState.WITHDRAWN, 1)
            assert withdrawn.message == UserMessage("second", busy_policy=BusyPolicy.QUEUE)
        await storage.answer(running, "Hi.")
        assert await said(storage, running) == ["hello", "Hi."]
        events = [event.payload for event in await storage.events(running.claim.session_key)]
        assert events.count(InputWithdrawn(input_id)) == 1

    async def test_and_being_taken_at_once_is_one_of_the_two(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")

        def withdraw(change: SessionChange) -> None:
            for pending in change.pending_inputs:
                withdraw_input(change, pending)

        await asyncio.gather(storage.change(withdraw), storage.answer(running, "Hi."))
        is_said = "second" in await said(storage, running)
        stored = await storage.reads.input(OWNER, "s1", input_id)
        assert stored.state is (InputState.TAKEN if is_said else InputState.WITHDRAWN)

    async def test_what_does_not_wait_is_not_found(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        withdraw = WithdrawInput(storage.store, storage.reads)
        for input_id in ("input_0", running.turn.input_id):
            with pytest.raises(InputNotFoundError):
                await withdraw.execute(
                    Principal(OWNER, OWNER),
                    session_id="s1",
                    input_id=input_id,
                    request_id="",
                    correlation_id=CORRELATION,
                )


class TestTheProgressOfAnInput:
    async def test_that_waits_has_no_turn_and_no_end(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")
        assert await progress(storage, running, input_id) == InputProgress(InputState.PENDING, "", None)

    async def test_that_is_taken_is_that_of_the_turn_it_started(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")
        await storage.answer(running, "Hi.")
        second = running.turn.id
        assert await progress(storage, running, input_id) == InputProgress(InputState.TAKEN, second, None)
        committed = await storage.answer(running, "Hi again.")
        end = committed.events[-1].sequence
        assert await progress(storage, running, input_id) == InputProgress(InputState.TAKEN, second, end)

    async def test_that_steers_ends_at_a_pause_of_its_turn_though_it_still_waits(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "b.py too", BusyPolicy.STEER)
        turn_id = running.turn.id
        assert await progress(storage, running, input_id) == InputProgress(InputState.PENDING, turn_id, None)
        from_answer = await storage.answer(running, "", [read("c1")], [RUNS])
        end = from_answer.events[-1].sequence
        assert await progress(storage, running, input_id) == InputProgress(InputState.PENDING, turn_id, end)
        running = storage.run(await storage.send(results("c1")))
        assert await progress(storage, running, input_id) == InputProgress(InputState.TAKEN, turn_id, None)
        end = (await storage.answer(running, "Done.")).events[-1].sequence
        assert await progress(storage, running, input_id) == InputProgress(InputState.TAKEN, turn_id, end)

    async def test_that_steers_and_comes_too_late_is_that_of_the_turn_it_started(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id, first = await waits(storage, "b.py too", BusyPolicy.STEER), running.turn.id
        await storage.answer(running, "Done.")
        assert running.turn.id != first
        assert await progress(storage, running, input_id) == InputProgress(InputState.TAKEN, running.turn.id, None)

    async def test_that_was_withdrawn_ends_where_the_log_says_so(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        input_id = await waits(storage, "second")

        def withdraw(change: SessionChange) -> None:
            withdraw_input(change, change.pending_inputs[0])

        committed = await storage.change(withdraw)
        end = committed.events[-1].sequence
        assert await progress(storage, running, input_id) == InputProgress(InputState.WITHDRAWN, "", end)

    async def test_that_was_cleared_ends_with_the_gap(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.answer(running, "Hi.")
        head = (await storage.reads.locate(OWNER, "s1")).last_sequence
        await storage.change(clear)
        assert (await progress(storage, running, running.turn.input_id)).ends_at == head

    async def test_that_resumed_is_that_of_its_new_turn(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.answer(running, " ")  # an empty answer fails, resumably
        committed = await storage.send(Resume())
        again = storage.run(committed)
        assert again.turn.id != running.turn.id
        end = (await storage.answer(again, "There.")).events[-1].sequence
        assert await progress(storage, again, committed.outcome) == InputProgress(InputState.TAKEN, again.turn.id, end)


async def test_a_deleted_session_leaves_nothing_of_what_waited(storage: Storage) -> None:
    await storage.start_in_new_session()
    await waits(storage, SECRET)
    await storage.change(delete)
    assert await rows_with(storage, SECRET) == []
