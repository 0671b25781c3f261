"""Tells the story from the first scene to the verdicts, and ends in time whatever happens."""

from __future__ import annotations

import asyncio

import grpc
from rich.console import Console

from client.errors import RuntimeCallError, StreamEndedError
from devtools.demo.closing import look_as_another, look_back, stop
from devtools.demo.designing import design
from devtools.demo.events import StoryBrokenError
from devtools.demo.explaining import explain
from devtools.demo.fixing import fix_the_test
from devtools.demo.script import SCRIPT
from devtools.demo.stage import Stage, set_stage
from devtools.scripted_model import Reply

_SECONDS = 60.0
_SCENES = (
    ("a bug, from the request to the passing test", fix_the_test),
    ("a question about the code", explain),
    ("a design", design),
)
_BROKEN = (StoryBrokenError, RuntimeCallError, StreamEndedError, grpc.aio.AioRpcError, TimeoutError)


async def tell(console: Console, replies: tuple[Reply, ...] = SCRIPT) -> bool:
    """Plays all scenes and prints the verdicts; True if every promise held. Takes at most about a minute."""
    async with set_stage(console, replies) as stage:
        stage.screen.line(
            f"a server on {stage.server.address}, embedded SQLite, a scripted model, a project with a bug"
        )
        try:
            async with asyncio.timeout(_SECONDS):
                await _play(stage)
        except _BROKEN as error:
            stage.screen.line(f"the story ends here: {type(error).__name__}: {error}", "bold red")
            stage.screen.line(stage.server.log.read_text(encoding="utf-8")[-2000:], "dim")
        console.rule("what was promised")
        stage.verdicts.show(stage.screen)
        console.rule("[green]every promise held[/]" if stage.verdicts.all_hold else "[red]a promise was broken[/]")
        return stage.verdicts.all_hold


async def _play(stage: Stage) -> None:
    for title, scene in _SCENES:
        stage.screen.end_line()
        stage.screen.console.rule(title)
        await scene(stage)
    await look_back(stage)
    await look_as_another(stage)
    await stop(stage)
