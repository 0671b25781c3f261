"""What the agents of a session have found and done, by kind of work: typed facts that prompts and people can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class CompilationState(StrEnum):
    """How the last build ended, by its exit code."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ExecutedCommand:
    """One command a client ran; `exit_code` is None if it reported none."""

    command: str
    exit_code: int | None
    execute_time: datetime


@dataclass(frozen=True, slots=True)
class CodingWork:
    """What was written and run. Paths are in the workspace; lists are oldest first, without repeats."""

    files_modified: tuple[str, ...] = ()
    files_created: tuple[str, ...] = ()
    commands_executed: tuple[ExecutedCommand, ...] = ()
    last_compilation_state: CompilationState | None = None
    active_branch: str = ""
    pending_tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesignWork:
    """What was designed and written down."""

    documents_created: tuple[str, ...] = ()
    diagrams_created: tuple[str, ...] = ()
    design_decisions: tuple[str, ...] = ()
    architecture_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DebugWork:
    """What was looked into and found."""

    errors_investigated: tuple[str, ...] = ()
    logs_analyzed: tuple[str, ...] = ()
    root_causes_found: tuple[str, ...] = ()
    suggested_fixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentWork:
    """All three kinds, whichever agent did them."""

    coder: CodingWork = field(default_factory=CodingWork)
    architect: DesignWork = field(default_factory=DesignWork)
    debug: DebugWork = field(default_factory=DebugWork)
