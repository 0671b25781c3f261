"""`make demo` tells its story without a terminal, leaves nothing behind, and says so if a promise does not hold."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path

import psutil
from rich.console import Console

from devtools.demo.telling import tell
from devtools.demo.verdicts import Promise
from devtools.scripted_model import reply, text

_PROJECT = Path(__file__).parents[2]
_SECONDS = 60


async def test_the_story_holds_what_it_promises(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devtools.demo"),
        cwd=_PROJECT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        output, _ = await process.communicate()
    told = output.decode()
    verdicts = told.partition("what was promised")[2]
    assert process.returncode == 0, told
    assert verdicts.count("✓") == len(Promise), told
    assert "✗" not in verdicts, told
    assert "Traceback" not in told
    assert os.listdir(tmp_path) == []


async def test_a_story_that_goes_wrong_is_no_success() -> None:
    output = io.StringIO()
    before = psutil.Process().children()
    assert not await tell(Console(file=output, width=120), replies=(reply(text("I do not know."), repeat=True),))
    verdicts = output.getvalue().partition("what was promised")[2]
    assert "the story ends here: StoryBrokenError: expected one tool_calls_requested" in output.getvalue()
    assert "✗ G4" in verdicts
    assert "not so: never checked" in verdicts
    assert psutil.Process().children() == before
