"""How many turns may run for one owner at once: so many, on all replicas together."""

from __future__ import annotations

from services.domain.errors import TooManyTurnsError
from services.domain.session_change import SessionChange
from services.domain.turn import TurnState

# Nobody knows when one of them ends or waits; most take seconds.
_RETRY_AFTER_SECONDS = 2.0


def has_place(change: SessionChange) -> bool:
    """Whether a turn that begins to run now, in place of the session's own, finds the owner below the limit.

    What goes on after a wait is not asked: it was let in once. Sessions are locked one by one, so those that begin a
    turn at the same moment do not see each other, and may pass the limit together.
    """
    own = change.loaded.turn
    others = change.loaded.running_turns - (own is not None and own.state is TurnState.RUNNING)
    return change.most_running is None or others < change.most_running


def check_running_turns(change: SessionChange) -> None:
    """Raises TooManyTurnsError when a turn that began to run now would be one too many."""
    if has_place(change):
        return
    raise TooManyTurnsError(
        f"{change.most_running} turns run for this owner; let one end or wait",
        retry_after=_RETRY_AFTER_SECONDS,
        quota=("principal:running_turns", f"{change.most_running} running turns"),
        metadata={"limit": str(change.most_running)},
    )
