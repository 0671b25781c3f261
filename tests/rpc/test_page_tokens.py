"""On every list: a token serves its owner, its list and its filter, and is refused in any other form and place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import grpc
import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.support.belongings import USES, Belongings, Use, waiting
from tests.support.rpcs import OFFERED, RESPONSES, RPCS
from tests.support.runtime_client import RuntimeClient, refusal_of

LISTS = {name: use for name, use in USES.items() if "page_token" in use.rpc.request.DESCRIPTOR.fields_by_name}
GARBAGE = ("x", ".", "..", "\x00", "é", "x" * 1_000_000, "null", "e30.e30", "' OR 1=1--")
_STEP = 5

each_list = pytest.mark.parametrize("use", LISTS.values(), ids=LISTS)


class Lister:
    """Lists things of one owner, one at a time."""

    def __init__(self, channel: grpc.aio.Channel, client: RuntimeClient, ids: Belongings) -> None:
        self._channel = channel
        self._client = client
        self._ids = ids

    async def page(self, use: Use, token: str, session_id: str | None = None) -> Any:
        """The page that the token leads to."""
        request = use.request(self._ids)
        request.page_size, request.page_token = 1, token
        if session_id is not None:
            request.session_id = session_id
        (answer,) = await use.rpc.call(self._channel, request.SerializeToString(), self._client.metadata)
        return RESPONSES[use.rpc.name].FromString(answer)

    async def items(self, use: Use, token: str) -> Any:
        """The page without the token of the next one, which holds the time."""
        page = await self.page(use, token)
        page.ClearField("next_page_token")
        return page

    async def refuses(self, use: Use, token: str, session_id: str | None = None) -> bool:
        """Whether the token is what is wrong."""
        try:
            await self.page(use, token, session_id)
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
            assert refusal.fields == {"page_token": "is not a token of this list, or has expired"}
            return True
        return False


@pytest.fixture
async def listers(runtime: RuntimeProcess, model: ScriptedModel) -> AsyncIterator[list[Lister]]:
    """Two owners with two of everything."""
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        both = []
        for _ in range(2):
            client = RuntimeClient(channel)
            await client.new_session(session_id="another", agent="universal")
            both.append(Lister(channel, client, await waiting(client, model)))
        yield both


def test_every_list_is_here() -> None:
    lists = {rpc.name for rpc in RPCS if rpc.name in OFFERED and rpc.name.partition("/")[2].startswith("List")}
    assert {use.rpc.name for use in LISTS.values()} == lists


@each_list
async def test_a_token_is_taken_as_it_was_given_and_no_other_way(listers: list[Lister], use: Use) -> None:
    me, other = listers
    token = (await me.page(use, "")).next_page_token
    assert token
    second = await me.items(use, token)
    assert second != await me.items(use, "")
    chance = Random(use.rpc.name)
    for position in range(chance.randrange(_STEP), len(token), _STEP):
        changed = bytearray(token.encode())
        changed[position] ^= 1 << chance.randrange(7)  # with the eighth it would be no UTF-8
        assert await me.refuses(use, changed.decode())
    for wrong in (*GARBAGE, token[:-1], token + "x", token + "=", token.partition(".")[0], token.swapcase()):
        assert await me.refuses(use, wrong)
    assert await other.refuses(use, token) or use.rpc.name == "AgentService/ListAgents"
    if "session_id" in use.rpc.request.DESCRIPTOR.fields_by_name:
        assert await me.refuses(use, token, session_id="another")
    for another in LISTS.values():
        if another is not use:
            assert await me.refuses(another, token)
    assert await me.items(use, token) == second
