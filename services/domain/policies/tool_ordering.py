"""Which calls of one model answer may be ordered now, which wait for others, and which cannot run any more.

Reads of a path come before its next write, writes before whatever reads or writes the path next, and a command comes
after all writes before it. Everything else is independent, so that an approval holds only its own call and what builds
on it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.domain.policies.file_rules import normalised_path, path_arguments

_WORKSPACE = "."


class CallKind(StrEnum):
    """What a call does to the workspace. OTHER neither waits for a call nor is waited for."""

    READ = "READ"
    WRITE = "WRITE"
    COMMAND = "COMMAND"
    OTHER = "OTHER"


class CallOutcome(StrEnum):
    """How far a call is that was ordered or given up: OPEN has no result yet, all others are final."""

    OPEN = "OPEN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    NOT_RUN = "NOT_RUN"


_KINDS = {
    "read_file": CallKind.READ,
    "list_files": CallKind.READ,
    "search_in_code": CallKind.READ,
    "write_file": CallKind.WRITE,
    "create_directory": CallKind.WRITE,
    "delete_file": CallKind.WRITE,
    "move_file": CallKind.WRITE,
    "execute_command": CallKind.COMMAND,
}
_WITHOUT_EFFECT = frozenset({CallOutcome.FAILED, CallOutcome.REJECTED, CallOutcome.NOT_RUN})


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What is known of a call before it runs; `id` is unique in the answer.

    A path stands for everything below it too. A READ or WRITE without paths may touch the whole workspace.
    """

    id: str
    name: str
    kind: CallKind
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotRun:
    """A call that must be settled unrun, and the call it would have built on."""

    id: str
    because_of: str


@dataclass(frozen=True, slots=True)
class CallOrder:
    """Ids of the calls that were neither ordered nor given up yet, each in exactly one place, in the answer's order."""

    ready: tuple[str, ...]
    waiting: tuple[str, ...]
    not_run: tuple[NotRun, ...]


def plan_call(call_id: str, tool_name: str, arguments: Mapping[str, object]) -> CallPlan:
    """The plan of a call of a built-in tool; any other tool's is OTHER."""
    paths = tuple(path for _, path, _ in path_arguments(tool_name, arguments))
    return CallPlan(call_id, tool_name, _KINDS.get(tool_name, CallKind.OTHER), paths)


def order_calls(calls: Sequence[CallPlan], outcomes: Mapping[str, CallOutcome]) -> CallOrder:
    """What becomes of the calls without an outcome, given all calls of one answer in its order.

    A call that waits for a person has no outcome; it may be ready and still wait for that. A failed read stops nothing.
    Of calls without a final outcome the first is never waiting, so something can always go on.
    """
    ready: list[str] = []
    waiting: list[str] = []
    not_run: list[NotRun] = []
    known = dict(outcomes)
    touched = {call.id: _touched(call) for call in calls}
    for position, call in enumerate(calls):
        if call.id in outcomes:
            continue
        before = [earlier for earlier in calls[:position] if _comes_first(earlier, call, touched)]
        missing = next((earlier for earlier in before if _leaves_without(earlier, call, known)), None)
        if missing is not None:
            not_run.append(NotRun(call.id, missing.id))
            known[call.id] = CallOutcome.NOT_RUN
        elif any(known.get(earlier.id, CallOutcome.OPEN) is CallOutcome.OPEN for earlier in before):
            waiting.append(call.id)
        else:
            ready.append(call.id)
    return CallOrder(tuple(ready), tuple(waiting), tuple(not_run))


def _comes_first(earlier: CallPlan, later: CallPlan, touched: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the later call builds on the earlier one, or would disturb it."""
    match earlier.kind, later.kind:
        case CallKind.WRITE, CallKind.COMMAND:
            return True
        case (CallKind.WRITE, CallKind.READ | CallKind.WRITE) | (CallKind.READ, CallKind.WRITE):
            return any(_overlap(a, b) for a in touched[earlier.id] for b in touched[later.id])
        case _:
            return False


def _leaves_without(earlier: CallPlan, later: CallPlan, outcomes: Mapping[str, CallOutcome]) -> bool:
    """Whether the earlier call is a write that never happened and the later one, more than a read, counts on it."""
    return (
        earlier.kind is CallKind.WRITE
        and later.kind is not CallKind.READ
        and outcomes.get(earlier.id) in _WITHOUT_EFFECT
    )


def _touched(call: CallPlan) -> tuple[str, ...]:
    """The paths in a form in which the same file, even on a system that ignores case, is the same text."""
    return tuple(unicodedata.normalize("NFC", normalised_path(path)).casefold() for path in call.paths or (_WORKSPACE,))


def _overlap(one: str, other: str) -> bool:
    """Whether both paths are the same, or one contains the other."""
    if _WORKSPACE in (one, other):
        return True
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
