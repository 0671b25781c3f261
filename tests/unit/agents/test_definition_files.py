"""What may stand in an agent's definition file, and what a broken one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.domain.errors import AgentNotFoundError
from services.infrastructure.agents.definition_files import BrokenDefinitionError, FileAgentCatalog

GOOD = 'description = "Explains."\nversion = "1"\nsystem_prompt = "Explain."\n'


def test_the_agents_that_ship_are_whole() -> None:
    catalog = FileAgentCatalog()
    assert catalog.get(catalog.initial_agent).system_prompt.strip()
    assert [agent.name for agent in catalog.all()] == sorted(agent.name for agent in catalog.all())


def test_an_agent_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(GOOD + "temperature = 0.2\n")
    catalog = FileAgentCatalog(tmp_path, initial_agent="explainer")
    assert catalog.get("explainer").temperature == 0.2
    with pytest.raises(AgentNotFoundError):
        catalog.get("coder")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not = = toml", "explainer.toml"),
        (GOOD + "temprature = 0.2\n", "unknown field 'temprature'"),
        (GOOD + 'name = "another"\n', "unknown field 'name'"),
        (GOOD + 'temperature = "warm"\n', "temperature"),
        (GOOD.replace("system_prompt", "# system_prompt"), "system_prompt"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "explainer.toml").write_text(text)
    with pytest.raises(BrokenDefinitionError, match=what) as caught:
        FileAgentCatalog(tmp_path, initial_agent="explainer")
    assert "explainer.toml" in str(caught.value)


def test_a_missing_initial_agent_is_said(tmp_path: Path) -> None:
    with pytest.raises(BrokenDefinitionError, match="no agent 'universal'"):
        FileAgentCatalog(tmp_path)
