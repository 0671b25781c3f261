"""Tokens and statistics on the wire."""

from __future__ import annotations

from agent_runtime.v1 import usage_pb2
from services.application.ports import AgentUsage
from services.domain.model_exchange import Usage


def to_usage(usage: Usage) -> usage_pb2.Usage:
    """The same five facts."""
    return usage_pb2.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
    )


def to_agent_usage_stats(stats: AgentUsage) -> usage_pb2.AgentUsageStats:
    """One agent's row of the statistics."""
    return usage_pb2.AgentUsageStats(
        agent=stats.agent,
        sessions=stats.sessions,
        turns=stats.turns,
        switches_in=stats.switches_in,
        model_calls=stats.model_calls,
        tool_calls=stats.tool_calls,
        usage=to_usage(stats.usage),
    )
