"""What docs/agents.md shows is true: its tables, its example agent, and what its example rules decide."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from server.rule_settings import RuleSettings
from services.domain.policies.approval_rules import ApprovalEffect, ConditionOperator, decide
from services.domain.policies.file_rules import FileRules, WriteAccess, refusal_of_write
from services.domain.policies.rule_linting import lint_rule
from services.domain.tool import Tool, ToolExecutor
from services.infrastructure.agents import definition_files
from services.infrastructure.agents.definition_files import FileAgentCatalog
from services.infrastructure.tools import FileToolCatalog

_PAGE = (Path(__file__).parents[3] / "docs/agents.md").read_text()
_TOOLS = FileToolCatalog()
_KNOWN = [tool.name for tool in _TOOLS.all()]
_EXECUTORS = {ToolExecutor.CLIENT: "the client", ToolExecutor.RUNTIME: "the runtime"}
_EFFECTS = {ApprovalEffect.ALLOW: "runs", ApprovalEffect.ASK: "asks"}


def _tables(first_column: str) -> list[list[list[str]]]:
    """The rows of each table whose first column has that heading."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", _PAGE, re.MULTILINE)
    tables = [[line[1:-1].strip().split(" | ") for line in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in row] for row in rows] for head, _, *rows in tables if head[0] == first_column]


def _table(first_column: str) -> list[list[str]]:
    (table,) = _tables(first_column)
    return table


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def _arguments(tool: Tool) -> str:
    parameters: Any = tool.parameters
    required = [name for name in parameters["properties"] if name in parameters.get("required", ())]
    optional = [name for name in parameters["properties"] if name not in required]
    shown = [f"`{name}`" for name in required]
    return " ".join([*shown, *([f"[{' '.join(f'`{name}`' for name in optional)}]"] if optional else [])])


def test_the_tools_are_those_of_the_files() -> None:
    expected = []
    for tool in _TOOLS.all():
        ruling = decide((), tool.name, {}, client_tools=(), read_only_client_tools=())
        expected.append([f"`{tool.name}`", _arguments(tool), _EXECUTORS[tool.executor], _EFFECTS[ruling.effect]])
    assert _table("Tool") == expected


def test_the_agents_are_those_of_the_files() -> None:
    catalog = FileAgentCatalog(known_tools=_KNOWN)
    shown = {_names(row[0])[0]: row for row in _table("Agent")}
    assert set(shown) == {agent.name for agent in catalog.all()}
    for agent in catalog.all():
        _, _, tools, client_tools, writes = shown[agent.name]
        assert _names(tools) == list(agent.tools)
        assert _names(client_tools) == [agent.client_tools.value]
        match agent.file_rules.write_access:
            case WriteAccess.MATCHING:
                assert _names(writes) == list(agent.file_rules.patterns)
            case WriteAccess.ALL:
                assert writes == "everything"
            case WriteAccess.NONE:
                assert writes == "nothing"


def _defaults(table: list[list[str]]) -> dict[str, str]:
    return {_names(field)[0]: default for field, default, _ in table}


def test_the_fields_of_an_agent_are_all_there_are_with_their_defaults() -> None:
    told = _defaults(_tables("Field")[0])
    written = definition_files._Written
    assert list(told) == list(written.__struct_fields__)
    required = len(told) - len(written.__struct_defaults__)
    assert [name for name, default in told.items() if default == "required"] == list(told)[:required]
    agent = written(description="", version="", system_prompt="")
    for name in ("tools", "client_tools", "routable", "routes"):
        assert told[name] == f"`{json.dumps(getattr(agent, name))}`"
    for name in ("model", "temperature", "max_tokens"):
        assert (told[name], getattr(agent, name)) == ("unset", None)
    assert agent.file_rules.write_access is WriteAccess.NONE


def test_the_fields_of_a_rule_are_all_there_are_with_their_defaults() -> None:
    told = _defaults(_tables("Field")[1])
    assert set(told) == set(RuleSettings.model_fields)
    for name, field in RuleSettings.model_fields.items():
        assert told[name] == ("required" if field.is_required() else f"`{json.dumps(field.default)}`")


def test_the_example_agent_can_be_added(tmp_path: Path) -> None:
    (tmp_path / "reviewer.toml").write_text(_block("toml"))
    catalog = FileAgentCatalog(known_tools=_KNOWN, extra=tmp_path)
    reviewer = catalog.get("reviewer")
    assert reviewer in catalog.routable()
    assert refusal_of_write("reviews/today.md", reviewer.file_rules) is None
    assert refusal_of_write("src/app.py", reviewer.file_rules) is not None
    assert set(tomllib.loads(_block("toml"))) > {"description", "tools", "file_rules"}


@pytest.mark.parametrize("row", _table("Pattern"), ids=lambda row: row[0])
def test_patterns_match_what_the_page_says(row: list[str]) -> None:
    pattern, matching, others = map(_names, row)
    rules = FileRules(WriteAccess.MATCHING, tuple(pattern))
    assert matching
    assert others
    for path in matching:
        assert refusal_of_write(path, rules) is None
    for path in others:
        assert refusal_of_write(path, rules) is not None


def test_the_operators_are_all_there_are() -> None:
    assert [name for row in _table("`op`") for name in _names(row[0])] == list(ConditionOperator)


def test_the_example_rules_are_good_ones() -> None:
    rules = [RuleSettings.model_validate(rule).rule() for rule in json.loads(_block("json"))]
    assert [problem for rule in rules for problem in lint_rule(rule)] == []


@pytest.mark.parametrize("row", _table("Call"), ids=lambda row: " ".join(row))
def test_the_example_rules_decide_what_the_page_says(row: list[str]) -> None:
    rules = [RuleSettings.model_validate(rule).rule() for rule in json.loads(_block("json"))]
    (tool,), (arguments,), (effect,) = map(_names, row)
    ruling = decide(rules, tool, json.loads(arguments), client_tools=(), read_only_client_tools=())
    assert ruling.effect == effect
