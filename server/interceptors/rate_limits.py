"""How many calls a minute each principal has, by class: one that floods is refused, the others notice nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from server.interceptors.call_classes import CallClass, class_of
from server.interceptors.rpc import Proceed, Rpc
from services.application.ports.rates import WINDOW_SECONDS, RateAnswer, RateWindows
from services.domain.errors import RateLimitedError

_WORDS = {
    CallClass.WORK: "inputs that start work",
    CallClass.ANSWERS: "answers and changes",
    CallClass.WATCHES: "watches begun",
    CallClass.READS: "reads",
}


class RateLimits:
    """Lets so many calls of a class pass for one owner in any minute, on whichever connections they come."""

    def __init__(self, windows: RateWindows, limits: Mapping[CallClass, int]) -> None:
        self._windows = windows
        self._limits = limits

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises RateLimitedError with the time until a call may pass.

        Answers say what is left, those to reads once half is gone.
        """
        kind = class_of(rpc.method, rpc.request)
        if kind is None or rpc.principal is None:
            return await proceed()
        answer = await self._windows.admit(f"{kind}:{rpc.principal.owner_id}", self._limits[kind])
        if kind is not CallClass.READS or answer.remaining * 2 <= answer.limit:
            # Metadata that differ from call to call cost a cheap read more than counting it does.
            rpc.context.answer_metadata += (
                ("ratelimit-limit", str(answer.limit)),
                ("ratelimit-remaining", str(answer.remaining)),
                ("ratelimit-reset", str(ceil(answer.free_in))),
            )
        if not answer.admitted:
            raise _refusal(kind, answer)
        return await proceed()


def _refusal(kind: CallClass, answer: RateAnswer) -> RateLimitedError:
    quota = f"{answer.limit} {_WORDS[kind]} in {WINDOW_SECONDS:g} s"
    return RateLimitedError(
        f"too many calls: {quota}",
        retry_after=answer.free_in,
        quota=(f"principal:{kind}", quota),
        metadata={"class": kind, "limit": str(answer.limit), "window_seconds": f"{WINDOW_SECONDS:g}"},
    )
