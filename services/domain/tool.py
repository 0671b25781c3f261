"""Tools: what an agent can have done, by whom, and with which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SWITCH_MODE = "switch_mode"
ATTEMPT_COMPLETION = "attempt_completion"
ASK_FOLLOWUP_QUESTION = "ask_followup_question"


class ToolExecutor(StrEnum):
    """Who runs a call: the client in the user's workspace, or the runtime itself."""

    CLIENT = "CLIENT"
    RUNTIME = "RUNTIME"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as an agent may be offered it; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, object]
    executor: ToolExecutor = ToolExecutor.CLIENT
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool that the client of one session brings along.

    `parameters_json` is a JSON Schema object as text. `read_only` is the client's word that a call changes nothing.
    """

    name: str
    description: str
    parameters_json: str
    read_only: bool = False
    speculative: bool = False
