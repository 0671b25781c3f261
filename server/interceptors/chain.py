"""The order in which a call passes the interceptors, and why it is this one."""

from __future__ import annotations

from collections.abc import Sequence

from server.drain_signal import DrainSignal
from server.interceptors.access_log import log_access
from server.interceptors.authentication import Authentication
from server.interceptors.circuit_breaking import CircuitBreaking
from server.interceptors.concurrency import Concurrency
from server.interceptors.correlation import correlate
from server.interceptors.deadline import Deadline
from server.interceptors.deserialise_guard import refuse_undecodable
from server.interceptors.drain_gate import DrainGate
from server.interceptors.error_mapping import map_errors
from server.interceptors.overload import OverloadGate
from server.interceptors.rpc import RpcInterceptor
from server.interceptors.seam import InterceptionSeam
from server.setting_groups import ConcurrencySettings
from services.application.ports import Authenticator
from services.application.ports.circuits import Circuits


def build_chain(
    *,
    authenticator: Authenticator,
    drain: DrainSignal,
    deadline: Deadline,
    circuits: Circuits,
    concurrency: ConcurrencySettings = ConcurrencySettings(),  # noqa: B008 - frozen
    overload: OverloadGate | None = None,
    limits: Sequence[RpcInterceptor] = (),
) -> InterceptionSeam:
    """The one interceptor to give to the server; first in the list is outermost. `limits` are those of principals.

    Without `overload` new work is taken however late the event loop is. Health and reflection do not pass through it.
    Each request is decoded before, by a deserialiser that cannot fail.
    """
    return InterceptionSeam(
        [
            # Outermost: whatever is logged or answered from here on carries the id.
            correlate,
            # Outside of the mapping, so it sees the code that the caller sees.
            log_access,
            # Outside of all that refuse: they raise domain errors and know nothing of gRPC.
            map_errors,
            # Before anything costs, reads or tells the caller something.
            Authentication(authenticator),
            # Strangers learn nothing of the contract, and nothing further in meets a request that is none.
            refuse_undecodable,
            DrainGate(drain),
            # Before all that counts: what is refused for the state of the replica must cost as little as can be.
            *([overload] if overload is not None else []),
            # The places of the whole process. A call that is refused here costs its principal nothing.
            Concurrency(concurrency),
            # They need the principal and the decoded input, and a call that is refused takes no place in what follows.
            *limits,
            # Inside of all other refusals, which say nothing about a dependency and must not take its probe.
            CircuitBreaking(circuits),
            # Innermost: the time of a handler, not of those who decide whether it runs; and its own task.
            deadline,
        ],
        on_call=overload.accept_queue.taken if overload is not None else None,
    )
