"""The scripted model says what it is told, fails as it is told, and refuses what the real API refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from devtools.scripted_model import (
    ScriptedModel,
    Usage,
    When,
    call,
    fault,
    gate,
    in_band_error,
    page,
    pause,
    raw_stream,
    reasoning,
    refusal,
    reply,
    running_scripted_model,
    scripted_model_process,
    text,
    tool_calls,
)
from devtools.scripted_model.script import Fault, Reply, Script, parse_script, script_json

SAY_HI = [{"role": "user", "content": "hi"}]
CALL_A = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALL_B = {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with running_scripted_model() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(http: aiohttp.ClientSession, model: ScriptedModel, /, **fields: object) -> tuple[int, bytes]:
    body = {"model": "m", "messages": SAY_HI, "stream": True} | fields
    async with http.post(f"{model.url}/chat/completions", json=body) as response:
        return response.status, await response.read()


async def chunks(http: aiohttp.ClientSession, model: ScriptedModel, /, **fields: object) -> list[Any]:
    status, body = await post(http, model, **fields)
    assert status == 200
    *events, last = body.decode().split("\n\n")
    assert last == ""
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def spoken(http: aiohttp.ClientSession, model: ScriptedModel, /, words: str = "hi", **fields: object) -> str:
    said = await chunks(http, model, messages=[{"role": "user", "content": words}], **fields)
    return "".join(c["choices"][0]["delta"].get("content", "") for c in said)


class TestPlaying:
    async def test_text_reasoning_and_calls_in_fragments(
        self, model: ScriptedModel, http: aiohttp.ClientSession
    ) -> None:
        calls = tool_calls(call("f", {"path": "a long path"}, id="1"), call("g", "{}", id="2"), chunk_characters=5)
        await model.play(reply(reasoning("hm"), text("Hello there"), calls))
        deltas = [c["choices"][0] for c in await chunks(http, model)]
        assert [d["delta"] for d in deltas[:3]] == [
            {"reasoning_content": "hm"},
            {"content": "Hello "},
            {"content": "there"},
        ]
        fragments = [d["delta"]["tool_calls"][0] for d in deltas[3:-1]]
        assert [(f["index"], f["id"], f["function"]["name"]) for f in fragments[:2]] == [(0, "1", "f"), (1, "2", "g")]
        written = "".join(f["function"]["arguments"] for f in fragments if f["index"] == 0)
        assert json.loads(written) == {"path": "a long path"}
        assert deltas[-1]["finish_reason"] == "tool_calls"

    async def test_usage_only_if_asked_for(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("a b"), repeat=True, usage=Usage(prompt_tokens=7, completion_tokens=2)))
        assert all("usage" not in chunk for chunk in await chunks(http, model))
        last = (await chunks(http, model, stream_options={"include_usage": True}))[-1]
        assert (last["choices"], last["usage"]["prompt_tokens"], last["usage"]["total_tokens"]) == ([], 7, 9)

    async def test_whole_if_not_streaming(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("Hello there"), tool_calls(call("f", {}, id="1"))))
        _, body = await post(http, model, stream=False)
        choice = json.loads(body)["choices"][0]
        assert choice["message"]["content"] == "Hello there"
        assert choice["message"]["tool_calls"][0]["id"] == "1"
        assert choice["finish_reason"] == "tool_calls"

    async def test_echoes_without_a_script(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        assert await spoken(http, model, "what is\nthis?") == "You said: what is this?"

    async def test_lists_its_model(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{model.url}/models") as response:
            assert [m["id"] for m in (await response.json())["data"]] == ["scripted"]

    async def test_delays_keep_their_rate(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("a " * 20, chunk_delay=0.01)))
        begin = asyncio.get_running_loop().time()
        await spoken(http, model)
        assert 0.19 <= asyncio.get_running_loop().time() - begin < 1


class TestChoice:
    @pytest.mark.parametrize(
        ("when", "fitting", "other"),
        [
            (When(last_user_contains="rain"), {"words": "will it rain?"}, {"words": "snow"}),
            (When(last_user_matches="^a.c$"), {"words": "abc"}, {"words": "xabc"}),
            (When(model="big"), {"model": "big"}, {"model": "small"}),
            (When(has_tools=True), {"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
            (When(has_tools=False), {}, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
            (When(last_role="user"), {}, None),
            (When(last_role="tool"), None, {}),
            (When(system_contains="kind"), None, {}),
            (When(longer_than=9), {"words": "a long story"}, {"words": "a"}),
        ],
    )
    async def test_by_conditions(
        self,
        model: ScriptedModel,
        http: aiohttp.ClientSession,
        when: When,
        fitting: dict[str, Any] | None,
        other: dict[str, Any] | None,
    ) -> None:
        await model.play(reply(text("chosen"), when=when, repeat=True))
        if other is not None:
            assert await spoken(http, model, **other) != "chosen"
        if fitting is not None:
            assert await spoken(http, model, **fitting) == "chosen"

    async def test_by_system_prompt_and_tool_result(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("chosen"), when=When(system_contains="kind", last_role="tool")))
        history = [
            {"role": "system", "content": "be kind"},
            *SAY_HI,
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {"role": "tool", "tool_call_id": "a", "content": "done"},
        ]
        said = await chunks(http, model, messages=history)
        assert said[0]["choices"][0]["delta"]["content"] == "chosen"

    async def test_in_order_each_as_often_as_it_says(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("one")), reply(text("two"), times=2), reply(text("three"), repeat=True))
        assert [await spoken(http, model) for _ in range(5)] == ["one", "two", "two", "three", "three"]

    async def test_many_sessions_share_a_script(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(*(reply(text(f"to {n}"), when=When(last_user_contains=f"<{n}>")) for n in range(20)))
        said = await asyncio.gather(*(spoken(http, model, f"<{n}>") for n in range(20)))
        assert said == [f"to {n}" for n in range(20)]


class TestFaults:
    async def test_end_and_garbage(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(*(reply(text("one two"), fault=f) for f in (fault.end_after(30), fault.garbage_after(30))))
        _, ended = await post(http, model)
        _, garbled = await post(http, model)
        assert len(ended) == 30
        assert garbled.startswith(ended)
        assert len(garbled) > 100
        assert await model.counts("fault") == await model.counts("fault", at_least=2)

    @pytest.mark.parametrize("broken", [fault.reset_after(30), fault.cut_after(30), fault.reset_after(10_000)])
    async def test_reset_and_cut(self, model: ScriptedModel, http: aiohttp.ClientSession, broken: Fault) -> None:
        await model.play(reply(text("one two"), fault=broken))
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await post(http, model)
        (seen,) = await model.calls()
        assert seen["outcome"] == "fault"
        assert 30 <= seen["bytes_sent"] < 1000

    async def test_stall_until_the_client_leaves(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("one two"), fault=fault.stall_after(30)))
        body = {"model": "m", "messages": SAY_HI, "stream": True}
        async with http.post(f"{model.url}/chat/completions", json=body) as response:
            assert len(await response.content.readexactly(30)) == 30
            assert (await model.counts())["playing"] == 1
            response.close()
        await model.counts("closed_early", at_least=1)
        assert (await model.calls())[0]["closed_early"] is True

    async def test_statuses_pages_and_errors_in_the_stream(
        self, model: ScriptedModel, http: aiohttp.ClientSession
    ) -> None:
        await model.play(
            refusal(429, retry_after="7"),
            page("<html>"),
            reply(text("a "), in_band_error("boom", code=500)),
            raw_stream(b"data: ", b"x\n\n"),
        )
        body = {"model": "m", "messages": SAY_HI, "stream": True}
        async with http.post(f"{model.url}/chat/completions", json=body) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
            assert (await response.json())["error"]["type"] == "scripted_error"
        assert await post(http, model) == (200, b"<html>")
        assert b'data: {"error": {"message": "boom", "code": 500}}\n\n' in (await post(http, model))[1]
        assert await post(http, model) == (200, b"data: x\n\n")

    async def test_pings(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(pause(0.1, ping_every=0.02), text("a")))
        assert (await post(http, model))[1].count(b": ping\n\n") in (3, 4)


class TestGates:
    async def test_an_answer_is_held_until_released(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("one "), gate("g"), text("two"), repeat=True))
        asked = [asyncio.create_task(spoken(http, model)) for _ in range(3)]
        await model.held("g", at_least=3)
        assert not any(task.done() for task in asked)
        await model.release("g")
        assert await asyncio.gather(*asked) == ["one two"] * 3
        assert await spoken(http, model) == "one two"

    async def test_a_new_script_closes_gates(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.release("g")
        await model.play(reply(gate("g"), text("one")))
        asked = asyncio.create_task(spoken(http, model))
        await model.held("g")
        await model.release("g")
        assert await asked == "one"


ANSWERED = [
    *SAY_HI,
    {"role": "assistant", "content": "both", "tool_calls": [CALL_A, CALL_B]},
    {"role": "tool", "tool_call_id": "b", "content": ""},
    {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "x"}]},
]


class TestPairing:
    async def test_a_paired_history_is_taken(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        assert (await post(http, model, messages=ANSWERED))[0] == 200
        assert (await post(http, model, messages=[*ANSWERED, {"role": "assistant", "content": "ok"}, *SAY_HI]))[
            0
        ] == 200

    @pytest.mark.parametrize(
        "fields",
        [
            {"messages": []},
            {"messages": "hi"},
            {"messages": [7]},
            {"messages": [{"role": "robot", "content": "x"}]},
            {"messages": [{"role": "user", "content": None}]},
            {"messages": [{"role": "user"}]},
            {"messages": [{"role": "user", "content": 7}]},
            {"messages": [{"role": "assistant", "content": None}]},
            {"messages": [{"role": "assistant", "content": "x", "tool_calls": []}]},
            {"messages": ANSWERED[:2]},
            {"messages": ANSWERED[:3]},
            {"messages": [*ANSWERED[:3], *SAY_HI, ANSWERED[3]]},
            {"messages": [*ANSWERED, ANSWERED[3]]},
            {"messages": [*SAY_HI, ANSWERED[2]]},
            {"messages": [*ANSWERED, *ANSWERED]},
            {"messages": [{"role": "assistant", "tool_calls": [CALL_A, CALL_A]}, *ANSWERED[2:]]},
            {"messages": [{"role": "assistant", "tool_calls": [CALL_A | {"id": ""}]}]},
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}]},
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [CALL_A | {"function": {"name": "f", "arguments": {}}}]}
                ]
            },
            {"messages": [{"role": "assistant", "tool_calls": [CALL_A | {"function": {"name": "", "arguments": ""}}]}]},
            {"messages": [{"role": "tool", "tool_call_id": ["a"], "content": "x"}]},
            {"model": ""},
            {"tools": []},
            {"tools": [{"type": "function"}]},
            {"tools": [{"type": "function", "function": {"name": "no spaces"}}]},
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        ],
    )
    async def test_anything_else_is_refused_and_counted(
        self, model: ScriptedModel, http: aiohttp.ClientSession, fields: dict[str, object]
    ) -> None:
        await model.play(reply(text("unused")))
        status, body = await post(http, model, **fields)
        assert status == 400
        assert json.loads(body)["error"]["type"] == "invalid_request_error"
        assert (await model.counts())["refused"] == 1
        assert await spoken(http, model) == "unused"

    async def test_no_json_is_refused(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{model.url}/chat/completions", data=b"{oops") as response:
            assert response.status == 400
        assert (await model.calls())[0]["body"] is None


class TestRecord:
    async def test_calls_are_recorded(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        headers = {"Authorization": "Bearer k", "X-Correlation-Id": "c", "traceparent": "t"}
        body = {"model": "m", "messages": SAY_HI}
        async with http.post(f"{model.url}/chat/completions", json=body, headers=headers) as response:
            answer = await response.read()
        (seen,) = await model.calls()
        assert seen["body"] == body
        assert seen["bytes_sent"] == len(answer)
        assert seen["outcome"] == "finished"
        assert {"authorization": "Bearer k", "x-correlation-id": "c", "traceparent": "t"}.items() <= seen[
            "headers"
        ].items()

    async def test_reset_forgets(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("one"), repeat=True))
        await spoken(http, model)
        await model.reset()
        assert await model.calls() == []
        assert set((await model.counts()).values()) == {0}
        assert await spoken(http, model) == "You said: hi"


class TestScripts:
    def test_survive_json(self) -> None:
        script = Script(
            replies=(
                reply(
                    text("a"), reasoning("b"), gate("c"), pause(1), tool_calls(call("f", {})), fault=fault.cut_after(3)
                ),
                raw_stream(b"\xff\x00"),
                refusal(503),
            )
        )
        assert parse_script(script_json(script)) == script

    def test_the_readme_shows_a_valid_one(self) -> None:
        readme = (Path(__file__).parents[2] / "devtools/scripted_model/README.md").read_text()
        shown = readme.split("```json\n")[1].split("```")[0]
        assert len(parse_script(shown).replies) == 3

    @pytest.mark.parametrize("wrong", ['{"reply": []}', '{"replies": [{"part": []}]}', '{"replies": [{"times": "x"}]}'])
    def test_typos_are_refused(self, wrong: str) -> None:
        with pytest.raises(msgspec.ValidationError):
            parse_script(wrong)

    async def test_a_wrong_script_changes_nothing(self, model: ScriptedModel, http: aiohttp.ClientSession) -> None:
        await model.play(reply(text("one")))
        async with http.post(f"{model.url.removesuffix('/v1')}/control/script", data=b'{"reply": 1}') as response:
            assert response.status == 400
        assert await spoken(http, model) == "one"


async def test_as_a_process_of_its_own(http: aiohttp.ClientSession) -> None:
    async with scripted_model_process(Reply(parts=(text("from afar"),))) as model:
        assert await spoken(http, model) == "from afar"
        assert await spoken(http, model) == "You said: hi"
        assert (await model.counts())["finished"] == 2
