"""What may stand in an agent's definition file, and what a broken one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.domain.agent import AgentOrigin, ClientToolAccess
from services.domain.errors import AgentNotFoundError
from services.domain.policies.file_rules import FileRules, WriteAccess
from services.infrastructure.agents.definition_files import BrokenDefinitionError, FileAgentCatalog

KNOWN = ("read_file", "write_file", "switch_mode")
GOOD = 'description = "Explains."\nversion = "1"\nsystem_prompt = "Explain."\n'
ROUTER = 'description = "Routes."\nversion = "1"\nroutes = true\nsystem_prompt = "One of {agents}?"\n'


def catalog_of(directory: Path, initial_agent: str = "explainer") -> FileAgentCatalog:
    return FileAgentCatalog(known_tools=KNOWN, built_in=directory, initial_agent=initial_agent)


def test_an_agent_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(GOOD + "temperature = 0.2\n")
    catalog = catalog_of(tmp_path)
    assert catalog.get("explainer").temperature == 0.2
    with pytest.raises(AgentNotFoundError):
        catalog.get("coder")


def test_what_is_left_out_means_as_little_as_possible(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(GOOD)
    agent = catalog_of(tmp_path).get("explainer")
    assert agent.tools == ()
    assert agent.client_tools is ClientToolAccess.NONE
    assert agent.file_rules == FileRules(WriteAccess.NONE)
    assert not agent.routable
    assert not agent.routes
    assert (agent.model, agent.temperature, agent.max_tokens) == (None, None, None)


def test_everything_a_file_says_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(
        GOOD + 'tools = ["write_file", "read_file"]\nclient_tools = "read_only"\nroutable = true\n'
        'model = "small"\nmax_tokens = 500\n'
        '[file_rules]\nwrite_access = "MATCHING"\nwrite_patterns = ["*.md", "docs/**"]\n'
    )
    agent = catalog_of(tmp_path).get("explainer")
    assert agent.tools == ("write_file", "read_file")
    assert agent.client_tools is ClientToolAccess.READ_ONLY
    assert agent.file_rules == FileRules(WriteAccess.MATCHING, ("*.md", "docs/**"))
    assert agent.routable
    assert (agent.model, agent.max_tokens) == ("small", 500)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not = = toml", "line 1"),
        (GOOD + "temprature = 0.2\n", "unknown field `temprature`"),
        (GOOD + 'name = "another"\n', "unknown field `name`"),
        (GOOD + 'temperature = "warm"\n', "temperature"),
        (GOOD + "temperature = 3.0\n", "temperature"),
        (GOOD + "max_tokens = 0\n", "max_tokens"),
        (GOOD + 'model = ""\n', "model"),
        (GOOD.replace("system_prompt", "# system_prompt"), "system_prompt"),
        (GOOD.replace('"Explain."', '" "'), "system_prompt is blank"),
        (GOOD.replace('"1"', '""'), "version is blank"),
        (GOOD.replace('"Explains."', '""'), "description must be one line"),
        (GOOD.replace('"Explains."', '"a\\nb"'), "description must be one line"),
        (GOOD.replace("Explains.", "x" * 501), "at most 500 characters"),
        (GOOD + 'tools = ["fly"]\n', "no tool 'fly'"),
        (GOOD + 'tools = ["read_file", "read_file"]\n', "given twice"),
        (GOOD + 'client_tools = "some"\n', "client_tools"),
        (GOOD + 'tools = ["write_file"]\n', "write_file can never succeed"),
        (GOOD + '[file_rules]\nwrite_access = "SOME"\n', "write_access"),
        (GOOD + '[file_rules]\nwrite_access = "MATCHING"\n', "at least one"),
        (GOOD + '[file_rules]\nwrite_access = "ALL"\nwrite_patterns = ["*.md"]\n', "go with write access MATCHING"),
        (GOOD + '[file_rules]\nwrite_access = "MATCHING"\nwrite_patterns = ["../*"]\n', "not a pattern of paths"),
        (GOOD + '[file_rules]\npatterns = ["*.md"]\n', "unknown field `patterns`"),
        (ROUTER + "routable = true\n", "cannot be routable"),
        (ROUTER + 'tools = ["read_file"]\n', "does no work"),
        (ROUTER + 'client_tools = "all"\n', "does no work"),
        (ROUTER.replace("{agents}", "them"), "must say {agents}"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "explainer.toml").write_text(text)
    with pytest.raises(BrokenDefinitionError) as caught:
        catalog_of(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'explainer.toml'}: ")
    assert what in str(caught.value)


@pytest.mark.parametrize("name", ["Coder", "9lives", "two words", "кодер", "a.b", "a" * 65, "-x"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.toml").write_text(GOOD)
    with pytest.raises(BrokenDefinitionError, match="cannot be called"):
        catalog_of(tmp_path, initial_agent=name)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BrokenDefinitionError, match=r"explainer\.toml"):
        catalog_of(tmp_path)


def test_a_missing_initial_agent_is_said(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(GOOD)
    with pytest.raises(BrokenDefinitionError, match="no agent 'universal'"):
        catalog_of(tmp_path, initial_agent="universal")


def test_a_router_needs_somebody_to_route_to(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(ROUTER)
    (tmp_path / "explainer.toml").write_text(GOOD)
    with pytest.raises(BrokenDefinitionError, match="none is routable"):
        catalog_of(tmp_path)


def test_one_agent_routes_at_most(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(ROUTER)
    (tmp_path / "another.toml").write_text(ROUTER)
    (tmp_path / "explainer.toml").write_text(GOOD + "routable = true\n")
    with pytest.raises(BrokenDefinitionError, match="only one agent can route, and these do: another, router"):
        catalog_of(tmp_path)


def test_the_operators_agents_join_the_built_in_ones_and_replace_those_of_their_name(tmp_path: Path) -> None:
    built_in, extra = tmp_path / "built_in", tmp_path / "extra"
    built_in.mkdir()
    extra.mkdir()
    (built_in / "explainer.toml").write_text(GOOD)
    (built_in / "coder.toml").write_text(GOOD)
    (extra / "coder.toml").write_text(GOOD.replace("Explain.", "Code.") + "routable = true\n")
    (extra / "tester.toml").write_text(GOOD + "routable = true\n")
    (extra / "notes.txt").write_text("not an agent")
    catalog = FileAgentCatalog(known_tools=KNOWN, extra=extra, built_in=built_in, initial_agent="explainer")
    assert [agent.name for agent in catalog.all()] == ["coder", "explainer", "tester"]
    assert [agent.name for agent in catalog.routable()] == ["coder", "tester"]
    assert catalog.get("coder").system_prompt == "Code."
    assert catalog.get("coder").origin is AgentOrigin.DEFINITION_FILE
    assert catalog.get("explainer").origin is AgentOrigin.BUILT_IN


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "explainer.toml").write_text(GOOD)
    with pytest.raises(BrokenDefinitionError, match="nowhere is not a directory"):
        FileAgentCatalog(known_tools=KNOWN, extra=tmp_path / "nowhere", built_in=tmp_path, initial_agent="explainer")
