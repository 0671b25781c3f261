"""Texts that end a statement, or are a pattern to somebody, are texts: kept as they are, and found by their equals."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.rpc.test_isolation import picture
from tests.rpc.test_sweep import outcome
from tests.support.belongings import USES, Belongings, Use, waiting
from tests.support.odd_texts import INJECTIONS
from tests.support.runtime_client import RuntimeClient

_EACH = 6
_PER_OWNER = 40
_places = count()


@pytest.fixture(scope="module")
async def victim(runtime: RuntimeProcess, shared_model: ScriptedModel) -> Any:
    """Somebody with something to lose."""
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        client = RuntimeClient(channel)
        yield client, await waiting(client, shared_model)


def injected(use: Use, ids: Belongings) -> Iterator[Any]:
    """Good requests with one text of theirs, at any depth, replaced; together they use every text many times."""
    for path in _texts(use.request(ids)):
        start = next(_places) * _EACH
        for number in range(start, start + _EACH):
            request = use.request(ids)
            _put(request, path, INJECTIONS[number % len(INJECTIONS)])
            yield request


def _texts(message: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (*path, field.name)
        elif field.message_type is not None and (len(getattr(message, field.name)) if field.is_repeated else False):
            if not field.message_type.GetOptions().map_entry:
                yield from _texts(getattr(message, field.name)[0], (*path, field.name, "0"))
        elif field.message_type is not None and not field.is_repeated and message.HasField(field.name):
            yield from _texts(getattr(message, field.name), (*path, field.name))


def _put(message: Any, path: tuple[str, ...], text: str) -> None:
    for step in path[:-1]:
        message = message[int(step)] if step.isdigit() else getattr(message, step)
    if message.DESCRIPTOR.fields_by_name[path[-1]].is_repeated:
        getattr(message, path[-1]).append(text)
    else:
        setattr(message, path[-1], text)


@pytest.mark.parametrize("runtime", ["postgresql"], indirect=True)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_no_text_in_any_field_is_more_than_a_text(
    runtime: RuntimeProcess, client: RuntimeClient, model: ScriptedModel, victim: Any, use: Use
) -> None:
    other, hers = victim
    before = await picture(other, hers.session_id)
    mine = await use.scene(client, model)
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for request in injected(use, mine):
            await outcome(use.rpc, channel, request.SerializeToString(), client)
    await client.leave(mine.session_id)
    assert await picture(other, hers.session_id) == before


async def test_texts_come_back_as_they_went_in_and_find_themselves_alone(runtime: RuntimeProcess) -> None:
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        for start in range(0, len(INJECTIONS), _PER_OWNER):
            client = RuntimeClient(channel)
            for number, text in enumerate(INJECTIONS[start : start + _PER_OWNER]):
                made = await client.new_session(
                    session_id=f"s{number}", title=text, description=text, labels={"k": text}, agent="universal"
                )
                assert (made.title, made.description, dict(made.labels)) == (text, text, {"k": text})
                found = (await client.list_sessions(labels={"k": text})).sessions
                assert [session.id for session in found] == [made.id]
                if number % 4 == 0:
                    assert (await client.deactivate(made.id, reason=text)).deactivation_reason == text
                    assert await client.session(made.id) == (await client.list_sessions(labels={"k": text})).sessions[0]
