"""The checker of order itself: it takes what fits the log and names what does not."""

from __future__ import annotations

from agent_runtime.v1.session_change_event_pb2 import SessionUpdated
from agent_runtime.v1.session_pb2 import Session
from tests.faults.points.linearity import Operation, violations_of_order, violations_of_reads
from tests.support.runtime_client import Event

LOG = [
    Event(sequence=1, session_updated=SessionUpdated(title="one", version=2)),
    Event(sequence=2, session_updated=SessionUpdated(title="two", version=3)),
]


def test_operations_at_the_same_time_may_have_any_order() -> None:
    assert not violations_of_order([Operation("a", 0.0, 3.0, 2), Operation("b", 1.0, 2.0, 1)])


def test_an_operation_is_not_before_one_that_was_answered_before_it_was_called() -> None:
    assert violations_of_order([Operation("a", 0.0, 1.0, 2), Operation("b", 2.0, 3.0, 1)])


def test_a_read_after_an_answered_write_must_not_be_older() -> None:
    stale = Session(title="one", version=2, last_sequence=1)
    assert violations_of_order([Operation("write", 0.0, 1.0, 2), Operation("read", 2.0, 3.0, 1, stale)])
    fresh = Session(title="two", version=3, last_sequence=2)
    assert not violations_of_order([Operation("write", 0.0, 1.0, 2), Operation("read", 2.0, 3.0, 2, fresh)])


def test_a_read_shows_what_was_true_at_its_number() -> None:
    created = Session(version=1)
    right = Operation("read", 0.0, 1.0, 1, Session(title="one", version=2, last_sequence=1))
    torn = Operation("torn", 0.0, 1.0, 1, Session(title="one", version=3, last_sequence=1))
    assert not violations_of_reads(created, LOG, [right])
    assert len(violations_of_reads(created, LOG, [right, torn])) == 1
