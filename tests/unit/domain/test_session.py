"""What a message does to a session, and when none may enter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.domain.errors import SessionInactiveError, SessionMessageLimitError
from services.domain.ids import is_request_id, is_session_id, new_id
from services.domain.message import Message, Role
from services.domain.session import Session, SessionState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

SESSION = Session(
    key=1,
    id="s1",
    owner_id="ann",
    title="",
    description="",
    state=SessionState.ACTIVE,
    create_time=NOW,
    update_time=NOW,
    last_activity_time=NOW,
)


def message(role: Role, content: str) -> Message:
    return Message("m1", role, content, NOW)


def test_the_first_user_message_names_the_session() -> None:
    named = SESSION.with_message(message(Role.SYSTEM, "be nice"), NOW).with_message(message(Role.USER, "  Hi \n"), NOW)
    assert named.title == "Hi"
    assert named.with_message(message(Role.USER, "something else"), NOW).title == "Hi"


def test_a_title_that_was_given_stays() -> None:
    assert replace(SESSION, title="mine").with_message(message(Role.USER, "Hi"), NOW).title == "mine"


def test_every_message_is_counted_and_moves_the_last_activity() -> None:
    moved = SESSION.with_message(message(Role.ASSISTANT, "Hello"), LATER)
    assert (moved.message_count, moved.last_ordinal, moved.last_activity_time) == (1, 1, LATER)
    assert (moved.update_time, moved.version) == (NOW, 1), "only what a client sets moves these"
    assert moved.duration == timedelta(minutes=5)


def test_no_message_enters_an_inactive_session() -> None:
    with pytest.raises(SessionInactiveError):
        replace(SESSION, state=SessionState.INACTIVE).check_can_take_message()


def test_a_full_session_says_so_and_is_no_dead_end() -> None:
    full = replace(SESSION, message_count=1000)
    with pytest.raises(SessionMessageLimitError) as caught:
        full.check_can_take_message()
    assert caught.value.metadata == {"limit": "1000"}
    assert "clear" in caught.value.message
    replace(full, message_limit=1001).check_can_take_message()
    replace(full, message_count=0).check_can_take_message()


@pytest.mark.parametrize("text", ["a", "A-z_09", "x" * 64])
def test_a_session_id_of_ours_or_a_clients_is_one(text: str) -> None:
    assert is_session_id(text)
    assert is_session_id(new_id("session"))


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\n", "ä", "a.b", "../x", "a\x00"])
def test_anything_else_is_no_session_id(text: str) -> None:
    assert not is_session_id(text)


@pytest.mark.parametrize(
    ("text", "valid"), [("r.1:2_3-4", True), ("x" * 128, True), ("", False), ("x" * 129, False), ("a b", False)]
)
def test_a_request_id_is_a_short_plain_word(text: str, valid: bool) -> None:
    assert is_request_id(text) is valid


def test_ids_do_not_repeat() -> None:
    assert len({new_id("turn") for _ in range(1000)}) == 1000
