"""A page token works for its owner, its list and its filter, for a day, and in no other form than it was given."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.v1.message_service_pb2 import ListOpenToolCallsRequest, ListTurnsRequest
from agent_runtime.v1.session_history_pb2 import ListMessagesRequest
from agent_runtime.v1.session_service_pb2 import ListSessionsRequest
from server.converters.page_tokens import ListRequest, PageTokens
from services.application.ports import PageKey
from services.domain.errors import InvalidArgumentError
from tests.support.clock import ManualClock

SECRET = b"s" * 32
AFTER: PageKey = (1_893_456_000_000_000, "кот", 7)
BASE64 = string.ascii_letters + string.digits + "-_"


@pytest.fixture
def tokens(clock: ManualClock) -> PageTokens:
    return PageTokens(SECRET, clock)


def refused(tokens: PageTokens, owner_id: str, request: ListRequest) -> bool:
    try:
        tokens.read(owner_id, request)
    except InvalidArgumentError as error:
        return [violation.field for violation in error.violations] == ["page_token"]
    return False


def test_no_token_is_the_first_page_and_no_next_page_is_no_token(tokens: PageTokens) -> None:
    assert tokens.read("owner", ListSessionsRequest()) is None
    assert tokens.issue("owner", ListSessionsRequest(), None) == ""


@given(st.lists(st.integers() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1).map(tuple))
def test_a_token_brings_its_place_back(after: PageKey) -> None:
    tokens = PageTokens(SECRET, ManualClock())
    token = tokens.issue("owner", ListSessionsRequest(), after)
    if len(token) <= 2048:
        assert tokens.read("owner", ListSessionsRequest(page_token=token)) == after


def test_a_token_goes_with_any_page_size_and_with_the_same_filter(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListSessionsRequest(page_size=5, labels={"a": "1", "b": "2"}), AFTER)
    request = ListSessionsRequest(page_size=50, labels={"b": "2", "a": "1"}, page_token=token)
    assert tokens.read("owner", request) == AFTER


def test_a_token_is_of_one_owner(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListSessionsRequest(), AFTER)
    assert refused(tokens, "other", ListSessionsRequest(page_token=token))


def test_a_token_is_of_one_filter(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListMessagesRequest(session_id="a"), AFTER)
    assert refused(tokens, "owner", ListMessagesRequest(session_id="b", page_token=token))
    assert refused(tokens, "owner", ListMessagesRequest(session_id="a", newest_first=True, page_token=token))


def test_a_token_is_of_one_rpc(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListTurnsRequest(session_id="a"), AFTER)
    assert refused(tokens, "owner", ListOpenToolCallsRequest(session_id="a", page_token=token))


def test_a_token_is_of_one_secret(tokens: PageTokens, clock: ManualClock) -> None:
    token = PageTokens(b"t" * 32, clock).issue("owner", ListSessionsRequest(), AFTER)
    assert refused(tokens, "owner", ListSessionsRequest(page_token=token))


def test_a_token_expires_after_a_day(tokens: PageTokens, clock: ManualClock) -> None:
    request = ListSessionsRequest(page_token=tokens.issue("owner", ListSessionsRequest(), AFTER))
    clock.advance(24 * 3600 - 1)
    assert tokens.read("owner", request) == AFTER
    clock.advance(1)
    assert refused(tokens, "owner", request)


def test_no_character_of_a_token_can_be_changed(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListSessionsRequest(), AFTER)
    for position, original in enumerate(token):
        for other in BASE64 + ".=":
            if other != original:
                changed = token[:position] + other + token[position + 1 :]
                assert refused(tokens, "owner", ListSessionsRequest(page_token=changed))


def test_no_bit_of_a_token_can_be_flipped(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListSessionsRequest(), AFTER).encode()
    for position in range(len(token)):
        for bit in range(7):  # with the eighth it would be no UTF-8
            changed = bytearray(token)
            changed[position] ^= 1 << bit
            assert refused(tokens, "owner", ListSessionsRequest(page_token=changed.decode()))


@pytest.mark.parametrize("garbage", [".", "..", "x", "a.b", "=.=", "é.é", "." * 2048, "x" * 3000, "\x00"])
def test_garbage_is_refused(tokens: PageTokens, garbage: str) -> None:
    assert refused(tokens, "owner", ListSessionsRequest(page_token=garbage))


def test_a_token_cannot_be_made_longer(tokens: PageTokens) -> None:
    token = tokens.issue("owner", ListSessionsRequest(), AFTER)
    assert refused(tokens, "owner", ListSessionsRequest(page_token=token + "="))
    assert refused(tokens, "owner", ListSessionsRequest(page_token=token + "." * 2048))
