"""The tools that a client declares: their shape is judged here, what they mean elsewhere."""

from __future__ import annotations

import pytest

from agent_runtime.v1.session_service_pb2 import CreateSessionRequest, UpdateSessionRequest
from agent_runtime.v1.tool_pb2 import ClientTool as WireTool
from agent_runtime.v1.tool_pb2 import ClientToolSet
from server.converters import session_requests
from services.domain.tool import ClientTool
from tests.unit.converters.refusals import violations

KIBIBYTE = 1024


def declared(*tools: WireTool) -> tuple[ClientTool, ...]:
    """The tools of a session that is created with them."""
    return session_requests.from_create_session(CreateSessionRequest(client_tools=tools))["client_tools"]


def tool(name: str = "look", **fields: object) -> WireTool:
    return WireTool(**({"name": name, "description": "looks"} | fields))  # type: ignore[arg-type]


def schema_of(size: int) -> str:
    """A schema of that many bytes."""
    return '{"title": "' + "x" * (size - 13) + '"}'


def test_tools_are_taken_as_they_are_declared() -> None:
    schema = ' {"type": "object", "x": 1.0}\n'
    tools = (tool("a-B_1" * 12 + "abcd", description="я" * 4000), tool(parameters_json=schema, read_only=True))
    assert declared(*tools) == (
        ClientTool("a-B_1" * 12 + "abcd", "я" * 4000, ""),
        ClientTool("look", "looks", schema, read_only=True),
    )
    update = UpdateSessionRequest(session_id="s", client_tools=ClientToolSet(tools=tools))
    assert session_requests.from_update_session(update)["client_tools"] == declared(*tools)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (WireTool(), ["name", "description"]),
        (tool("no spaces"), ["name"]),
        (tool("a" * 65), ["name"]),
        (tool("look\n"), ["name"]),
        (tool("ключ"), ["name"]),
        (tool(description=" \n"), ["description"]),
        (tool(description="x" * 4001), ["description"]),
        (tool(description="\x00"), ["description"]),
        *(
            (tool(parameters_json=text), ["parameters_json"])
            for text in (" ", "[]", "true", "{", '{"a": 1, "a": 2}', '{"a": 1e999}', '{"a": ' + "9" * 5000 + "}")
        ),
        (tool(parameters_json=schema_of(64 * KIBIBYTE + 1)), ["parameters_json"]),
    ],
)
def test_what_is_wrong_with_a_tool_is_named_by_its_place(wrong: WireTool, fields: list[str]) -> None:
    good = tool("good")
    assert violations(lambda: declared(good, wrong)) == [f"client_tools[1].{field}" for field in fields]
    update = UpdateSessionRequest(session_id="s", client_tools=ClientToolSet(tools=[wrong]))
    assert violations(lambda: session_requests.from_update_session(update)) == [
        f"client_tools.tools[0].{field}" for field in fields
    ]


def test_names_are_unique() -> None:
    tools = [tool("a"), tool("b"), tool("a"), tool("A")]
    assert violations(lambda: declared(*tools)) == ["client_tools[2].name"]


def test_there_may_be_64() -> None:
    tools = [tool(f"tool_{number}") for number in range(65)]
    assert len(declared(*tools[:64])) == 64
    assert violations(lambda: declared(*tools)) == ["client_tools"]


def test_together_they_may_have_256_kib() -> None:
    tools = [tool(f"tool_{number}", parameters_json=schema_of(64 * KIBIBYTE - 11)) for number in range(4)]
    assert sum(len(it.name + it.description + it.parameters_json) for it in tools) == 256 * KIBIBYTE
    assert len(declared(*tools)) == 4
    tools[0].description = "looks!"
    assert violations(lambda: declared(*tools)) == ["client_tools"]
