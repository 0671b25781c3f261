"""How many turns may run for one owner at once: so many, on all replicas together."""

from __future__ import annotations

from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import TooManyTurnsError
from services.domain.session_change import SessionChange
from services.domain.turn import TurnState

# Nobody knows when one of them ends or waits; most take seconds.
_RETRY_AFTER_SECONDS = 2.0


def check_running_turns(change: SessionChange, limits: TurnLimits) -> None:
    """Raises TooManyTurnsError when a turn that began to run now would be one too many.

    What goes on after a wait is not asked: it was let in once. Sessions are locked one by one, so messages to several
    that are accepted at the same moment do not see each other, and may pass the limit together.
    """
    runs_here = change.turn is not None and change.turn.state is TurnState.RUNNING
    if limits.running_turns is not None and change.loaded.running_turns - runs_here >= limits.running_turns:
        raise TooManyTurnsError(
            f"{limits.running_turns} turns run for this owner; let one end or wait",
            retry_after=_RETRY_AFTER_SECONDS,
            quota=("principal:running_turns", f"{limits.running_turns} running turns"),
            metadata={"limit": str(limits.running_turns)},
        )
