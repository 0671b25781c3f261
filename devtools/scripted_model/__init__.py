"""A model that says what a script tells it to, over the OpenAI protocol: for tests, demos and work without a model."""

from __future__ import annotations

from devtools.scripted_model import fault
from devtools.scripted_model.builders import (
    call,
    gate,
    in_band_error,
    page,
    pause,
    raw,
    raw_stream,
    reasoning,
    refusal,
    reply,
    text,
    tool_calls,
)
from devtools.scripted_model.running import ScriptedModel, running_scripted_model, scripted_model_process
from devtools.scripted_model.script import Reply, Script, Usage, When

__all__ = [
    "Reply",
    "Script",
    "ScriptedModel",
    "Usage",
    "When",
    "call",
    "fault",
    "gate",
    "in_band_error",
    "page",
    "pause",
    "raw",
    "raw_stream",
    "reasoning",
    "refusal",
    "reply",
    "running_scripted_model",
    "scripted_model_process",
    "text",
    "tool_calls",
]
