"""Row 27: SQLite under many writers and kill -9: no update lost, no "locked" told, the file whole, its log bounded."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.counting import SESSION
from tests.faults.points.deployment import Size
from tests.faults.points.nursery import Nursery, nursery

ROW = 27
_INCREMENTS = {"reduced": 1000, "full": 20_000}
_KILLS = {"reduced": 20, "full": 200}
_UPDATES = """
SELECT json_extract(payload, '$.title') FROM session_events WHERE kind = 'session_updated' ORDER BY sequence
"""
_MEGABYTE = 1 << 20
_FOREVER = 10**9


@dataclass(slots=True)
class _Tally:
    acknowledged: int = 0
    kills: int = 0
    wal_bytes: int = 0
    violations: list[str] = field(default_factory=list)


async def row_27(size: Size, seed: int) -> Verdict:
    """20 tasks raise a number, to the end once, then over and over until they are killed."""
    tally, dice = _Tally(), random.Random(seed)
    async with nursery() as forked:
        with tempfile.TemporaryDirectory(prefix="agent-runtime-row27-") as directory:
            await _count(forked, Path(directory) / "whole.db", _INCREMENTS[size], None, tally)
            for _ in range(_KILLS[size]):
                await _count(forked, Path(directory) / "killed.db", _FOREVER, dice.uniform(0.0, 0.4), tally)
                if tally.violations:
                    break
    measures = (
        Measure("acknowledged", tally.acknowledged, at_least=_INCREMENTS[size]),
        Measure("kills", tally.kills, at_least=_KILLS[size]),
        Measure("wal_mib", tally.wal_bytes / _MEGABYTE, at_most=16),
    )
    return Verdict(ROW, seed, measures, tuple(tally.violations))


async def _count(forked: Nursery, path: Path, increments: int, kill_after: float | None, tally: _Tally) -> None:
    """Lets a process count, kills it some time after its first number, and looks at what it left."""
    before = _state(path)[0]
    told = path.with_suffix(".told")
    told.unlink(missing_ok=True)
    pid = await forked.start("tests.faults.points.counting", [str(path), str(increments)], told)
    ended = asyncio.ensure_future(forked.ended(pid))
    kill_at = float("inf")
    while not ended.done():
        await asyncio.wait({ended}, timeout=0.01)
        tally.wal_bytes = max(tally.wal_bytes, _size(path.with_name(f"{path.name}-wal")))
        if kill_after is not None and kill_at == float("inf") and _size(told):
            kill_at = time.monotonic() + kill_after
        if time.monotonic() > kill_at and not ended.done():
            os.kill(pid, signal.SIGKILL)
            tally.kills += 1
            await ended
    lines = told.read_text(encoding="utf-8").splitlines()
    numbers = [int(line) for line in lines if line.isdigit()]
    number, updates, whole = _state(path)
    tally.acknowledged += len(numbers)
    tally.violations += [f"a client was told: {line}" for line in lines if line and not line.isdigit()]
    if whole != "ok":
        tally.violations.append(f"integrity_check: {whole}")
    if len(set(numbers)) != len(numbers):
        tally.violations.append("an update was lost: two tasks were told the same number")
    if number < max(numbers, default=before) or number < before + len(numbers):
        tally.violations.append(
            f"acknowledged updates are gone: {len(numbers)} from {before} on, and it stands at {number}"
        )
    if updates != list(range(1, number + 1)):
        tally.violations.append(f"the log holds {len(updates)} updates, and the number is {number}")
    if kill_after is None and number != before + increments:
        tally.violations.append(f"{increments} updates were made, and the number is {number}")


def _state(path: Path) -> tuple[int, list[int], str]:
    """The number, the updates in the log, and what SQLite says of its own file."""
    if not _size(path):
        return 0, [], "ok"
    connection = sqlite3.connect(path)
    try:
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
        (title,) = connection.execute("SELECT title FROM sessions WHERE session_id = ?", (SESSION,)).fetchone()
        rows = connection.execute(_UPDATES).fetchall()
        return int(title or "0"), [int(row[0]) for row in rows], whole
    finally:
        connection.close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
