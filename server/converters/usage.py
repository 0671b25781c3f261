"""Tokens and statistics on the wire."""

from __future__ import annotations

from agent_runtime.v1 import usage_pb2
from server.converters.times import to_duration
from services.application.ports import AgentUsage
from services.domain.model_exchange import Usage
from services.domain.session_usage import SessionUsage


def to_usage(usage: Usage) -> usage_pb2.Usage:
    """The same five facts."""
    return usage_pb2.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
    )


def to_session_usage(session_id: str, sums: SessionUsage) -> usage_pb2.SessionUsage:
    """The sums of one session, sorted by name where they are split."""
    return usage_pb2.SessionUsage(
        session_id=session_id,
        usage=to_usage(sums.usage),
        models=[
            usage_pb2.ModelUsage(
                model=name,
                usage=to_usage(used.usage),
                model_calls=used.model_calls,
                model_time=to_duration(used.model_time),
            )
            for name, used in sorted(sums.models.items())
        ],
        tools=[
            usage_pb2.ToolUsage(tool_name=name, tool_calls=used.tool_calls, failed_tool_calls=used.failed_tool_calls)
            for name, used in sorted(sums.tools.items())
        ],
        ended_turns=sums.ended_turns,
        completed_turns=sums.completed_turns,
        failed_turns=sums.failed_turns,
        cancelled_turns=sums.cancelled_turns,
        success_share=sums.completed_turns / sums.ended_turns if sums.ended_turns else 0.0,
        running_time=to_duration(sums.running_time),
        waiting_time=to_duration(sums.waiting_time),
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
