"""What the scripted chat has to show can be seen as often as somebody asks."""

from __future__ import annotations

from devtools.chat_script import SCRIPT
from devtools.scripted_model import running_scripted_model
from tests.unit.llm.asking import question
from tests.unit.llm.test_openai_client import ask, client_of


async def test_the_tour_begins_again() -> None:
    async with running_scripted_model(*SCRIPT) as model, client_of(model.url) as client:
        for _ in range(3):
            _, answer = await ask(client, question("show me"))
            assert [call.name for call in answer.tool_calls] == ["list_files"]
