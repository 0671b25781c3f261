"""Very many streams on one replica, of sessions in which somebody speaks and of others who watch them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from agent_runtime.v1 import input_pb2
from tests.faults.harness.caller import Caller
from tests.faults.harness.following import follow_input, follow_session
from tests.faults.harness.history import History, View
from tests.faults.harness.judge import violations
from tests.faults.harness.replicas import Replica
from tests.faults.harness.script import AGENT
from tests.faults.harness.stored import read_stored
from tests.faults.harness.verdict import BUILD
from tests.faults.harness.world import World
from tests.support.runtime_client import Event

_OPENED_AT_ONCE = 20
_PATIENCE = 60.0
_LONGEST_REST = 300.0
_SILENCE = (
    30.0  # no replica is frozen here, and one that gets a thousand streams at once says something to each in time
)


@dataclass
class Session:
    """One session: the client that speaks in it, and those that watch it.

    `speaking` and `over` are about the turn that was asked for last; `taken_up` says when turns were taken up again
    after their replica had gone, in seconds of `time.time`.
    """

    caller: Caller
    history: History
    speaking: bool = False
    over: bool = False
    taken_up: list[float] = field(default_factory=list)
    ends_at: list[int] = field(default_factory=list)


async def new_sessions(w: World, name: str, count: int) -> list[Session]:
    """So many, each with an owner of its own."""
    sessions = [Session(Caller(w.net, f"{name}-owner-{n}"), History(f"{name}-{n}")) for n in range(count)]

    async def create(session: Session) -> None:
        chosen = session.history.session_id
        await session.caller.call(lambda client: client.new_session(session_id=chosen, agent=AGENT, request_id=chosen))

    for start in range(0, count, _OPENED_AT_ONCE):
        await asyncio.gather(*(create(session) for session in sessions[start : start + _OPENED_AT_ONCE]))
    return sessions


async def speak(w: World, sessions: list[Session], first: Replica) -> list[asyncio.Task[None]]:
    """One turn in each session, asked for at this replica; `all_speak` says when each has begun to answer."""
    tasks = []

    async def begin(session: Session) -> None:
        def seen(event: Event) -> None:
            session.speaking = session.speaking or event.HasField("text_delta")
            session.over = session.over or event.HasField("turn_completed")
            if event.HasField("attempt_restarted"):
                session.taken_up.append(event.event_time.ToNanoseconds() / 1e9)

        caller = _starting_at(w, session.caller.owner, first)
        session.history.turns += 1
        said = input_pb2.UserMessage(text=f"[text] number {session.history.turns}")
        request_id = f"{session.history.session_id}-{session.history.turns}"
        await follow_input(caller, session.history, request_id, {"user_message": said}, seen, silence=_SILENCE)

    for number, session in enumerate(sessions):
        session.speaking = session.over = False
        tasks.append(asyncio.create_task(begin(session)))
        if number % _OPENED_AT_ONCE == 0:
            await asyncio.sleep(0.1)
    return tasks


async def all_speak(sessions: list[Session]) -> None:
    """Returns when in each session the turn that was asked for last has begun to answer."""
    async with asyncio.timeout(_PATIENCE):
        while not all(session.speaking for session in sessions):  # noqa: ASYNC110 - looked at rarely
            await asyncio.sleep(0.02)


async def watch(w: World, sessions: list[Session], count: int, first: Replica) -> list[asyncio.Task[None]]:
    """So many streams that follow these sessions to their end; returns when each has delivered something.

    They are opened at this replica; one that it refuses in passing goes to the next.
    """
    tasks = []

    async def follow(session: Session) -> None:
        caller = _starting_at(w, session.caller.owner, first)
        await follow_session(
            caller,
            session.history,
            lambda last: bool(session.ends_at) and last >= session.ends_at[0],
            silence=_SILENCE,
            patience=_LONGEST_REST,
        )

    for number in range(count):
        session = sessions[number % len(sessions)]
        tasks.append(asyncio.create_task(follow(session)))
        if number % _OPENED_AT_ONCE == 0:
            await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(_PATIENCE):
            while _delivering(sessions) < count:  # noqa: ASYNC110 - looked at rarely
                await asyncio.sleep(0.05)
    except TimeoutError:
        for task in tasks:
            task.cancel()
        raise
    return tasks


def _starting_at(w: World, owner: str, first: Replica) -> Caller:
    return Caller(w.net, owner, first=w.net.names.index(first.name) - 1)


def _delivering(sessions: list[Session]) -> int:
    views = [view for session in sessions for view in session.history.views]
    return sum(view.kind == "watch" and view.end == "open" and bool(view.events) for view in views)


def open_views(sessions: list[Session], replica: Replica) -> list[View]:
    """The streams that are open on this replica."""
    return [
        view
        for session in sessions
        for view in session.history.views
        if view.end == "open" and view.replica == replica.name
    ]


async def judged(
    w: World, sessions: list[Session], watching: list[asyncio.Task[None]]
) -> tuple[list[str], Path | None]:
    """What was broken in any of them, once nobody speaks any more; and the history of one where something was."""
    found: list[str] = []
    history = None
    for session in sessions:
        session.ends_at.append(max(seen.event.sequence for seen in session.history.seen()))
    if watching:
        done, late = await asyncio.wait(watching, timeout=_PATIENCE)
        for task in late:
            task.cancel()
        found += [f"G2: {len(late)} watchers never saw the end"] if late else []
        found += [f"G2: a watcher failed: {task.exception()!r}" for task in done if task.exception() is not None]
    reading = asyncio.Semaphore(4)

    async def judge(session: Session) -> None:
        nonlocal history
        async with reading:
            stored = await read_stored(w.net, session.caller, w.postgres.url, session.history.session_id)
        broken = violations(session.history, stored)
        if broken:
            history = BUILD / "histories" / f"{session.history.session_id}.json"
            session.history.save(history, stored.events, broken)
        found.extend(broken)

    await asyncio.gather(*(judge(session) for session in sessions))
    return found, history
