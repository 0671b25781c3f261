"""One task per running turn: found by its session, stopped when its claim is void, never able to break another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.application.ports import FencedError
from services.domain.errors import ErrorReason
from services.domain.session_events import TurnFailed
from tests.unit.application.engine import KEYS, Engine, settled


async def test_a_turn_runs_until_it_ends_by_itself() -> None:
    engine = Engine()
    await engine.run_here()
    assert (len(engine.turns), engine.turns.claims()) == (1, [engine.store.claim("s1")])
    engine.runner.let_go("s1")
    await settled()
    assert (len(engine.turns), engine.runner.stopped) == (0, [])


async def test_stopping_a_claim_stops_its_turn_only() -> None:
    engine = Engine()
    await engine.run_here("s1")
    await engine.run_here("s2")
    engine.turns.stop(engine.store.claim("s1"))
    engine.turns.stop(engine.store.claim("s1"))  # harmless
    await settled()
    assert engine.runner.stopped == ["s1"]
    assert list(engine.runner.running) == ["s2"]
    await engine.turns.stop_all()


async def test_a_claim_that_is_not_the_one_that_runs_stops_nothing() -> None:
    engine = Engine()
    await engine.run_here()
    engine.turns.stop(replace(engine.store.claim("s1"), epoch=0))
    await settled()
    assert list(engine.runner.running) == ["s1"]
    await engine.turns.stop_all()


async def test_a_fresh_claim_takes_the_place_of_the_older_one() -> None:
    engine = Engine()
    turn = await engine.run_here()
    engine.store.sessions["s1"].epoch = 2
    engine.turns.start(engine.store.claim("s1"), turn)
    await settled()
    assert engine.runner.stopped == ["s1"]
    assert engine.runner.running == {"s1": engine.store.claim("s1")}
    assert engine.turns.claims() == [engine.store.claim("s1")]
    await engine.turns.stop_all()


async def test_a_command_stops_whatever_runs_in_its_session() -> None:
    engine = Engine()
    await engine.run_here()
    engine.turns.stop_session(1)
    engine.turns.stop_session(99)  # nothing runs there
    await settled()
    assert engine.runner.stopped == ["s1"]


async def test_stopping_all_returns_when_none_runs_any_more() -> None:
    engine = Engine()
    for session_id in ("s1", "s2", "s3"):
        await engine.run_here(session_id)
    await engine.turns.stop_all()
    assert engine.runner.running == {}
    assert len(engine.turns) == 0


async def test_a_fault_of_ours_ends_its_turn_with_a_fixed_text_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    await engine.run_here("s1")
    await engine.run_here("s2")
    engine.runner.fail("s1", ValueError("a secret"))
    await settled()
    assert engine.store.sessions["s1"].log == [TurnFailed(ErrorReason.INTERNAL, "internal error", None, True)]
    assert engine.store.sessions["s1"].turn is None
    assert list(engine.runner.running) == ["s2"]
    assert "a turn failed" in caplog.text
    await engine.turns.stop_all()


async def test_a_fault_after_the_turn_has_ended_changes_nothing() -> None:
    engine = Engine()
    await engine.run_here()
    engine.store.sessions["s1"].turns.clear()
    engine.runner.fail("s1", ValueError("too late"))
    await settled()
    assert engine.store.sessions["s1"].log == []


async def test_after_a_void_claim_or_a_fault_readers_look_for_what_nobody_told_them() -> None:
    engine = Engine()
    for session_id, error in (("s1", FencedError()), ("s2", ValueError("x"))):
        await engine.run_here(session_id)
        engine.runner.fail(session_id, error)
    await settled()
    assert engine.looked_again == [KEYS["s1"], KEYS["s2"]]


async def test_a_fault_that_cannot_be_recorded_is_logged_and_left_to_recovery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine()
    await engine.run_here()
    engine.store.away = True
    engine.runner.fail("s1", ValueError("x"))
    await settled()
    assert "could not be ended" in caplog.text
    assert len(engine.turns) == 0
