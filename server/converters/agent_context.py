"""What a session knows about its agents on the wire: who is current, who was, and what they have done."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import agent_context_pb2
from server.converters.times import to_timestamp
from services.application.ports import SessionView
from services.domain.agent_context import SWITCH_LIMIT, AgentSwitch, SwitchSource
from services.domain.agent_work import CodingWork, CompilationState, DebugWork, DesignWork, ExecutedCommand

SWITCH_SOURCES: Mapping[SwitchSource, agent_context_pb2.AgentSwitchSource.ValueType] = {
    SwitchSource.USER: agent_context_pb2.AGENT_SWITCH_SOURCE_USER,
    SwitchSource.ROUTER: agent_context_pb2.AGENT_SWITCH_SOURCE_ROUTER,
    SwitchSource.AGENT: agent_context_pb2.AGENT_SWITCH_SOURCE_AGENT,
    SwitchSource.FALLBACK: agent_context_pb2.AGENT_SWITCH_SOURCE_FALLBACK,
    SwitchSource.CACHE: agent_context_pb2.AGENT_SWITCH_SOURCE_CACHE,
}

# Empty: nobody was asked.
CONFIDENCES: Mapping[str, agent_context_pb2.RoutingConfidence.ValueType] = {
    "": agent_context_pb2.ROUTING_CONFIDENCE_UNSPECIFIED,
    "high": agent_context_pb2.ROUTING_CONFIDENCE_HIGH,
    "medium": agent_context_pb2.ROUTING_CONFIDENCE_MEDIUM,
    "low": agent_context_pb2.ROUTING_CONFIDENCE_LOW,
}

COMPILATION_STATES: Mapping[CompilationState, agent_context_pb2.CompilationState.ValueType] = {
    CompilationState.SUCCEEDED: agent_context_pb2.COMPILATION_STATE_SUCCEEDED,
    CompilationState.FAILED: agent_context_pb2.COMPILATION_STATE_FAILED,
}


def to_agent_context(view: SessionView) -> agent_context_pb2.AgentContext:
    """Who is current in the session, and what is known of the work done."""
    context = view.context
    return agent_context_pb2.AgentContext(
        session_id=view.session.id,
        current_agent=context.current_agent,
        switch_count=context.switch_count,
        switch_limit=SWITCH_LIMIT,
        coder=_to_coder(context.work.coder),
        architect=_to_architect(context.work.architect),
        debug=_to_debug(context.work.debug),
    )


def to_agent_switch(switch: AgentSwitch) -> agent_context_pb2.AgentSwitch:
    """One entry of the switch history."""
    return agent_context_pb2.AgentSwitch(
        ordinal=switch.ordinal,
        from_agent=switch.from_agent,
        to_agent=switch.to_agent,
        reason=switch.reason,
        confidence=CONFIDENCES[switch.confidence],
        source=SWITCH_SOURCES[switch.source],
        requested_by=switch.requested_by,
        create_time=to_timestamp(switch.time),
    )


def _to_coder(work: CodingWork) -> agent_context_pb2.CoderContext:
    wire = agent_context_pb2.CoderContext(
        files_modified=work.files_modified,
        files_created=work.files_created,
        commands_executed=[_to_executed_command(command) for command in work.commands_executed],
        active_branch=work.active_branch,
        pending_tests=work.pending_tests,
    )
    if work.last_compilation_state is not None:
        wire.last_compilation_state = COMPILATION_STATES[work.last_compilation_state]
    return wire


def _to_executed_command(command: ExecutedCommand) -> agent_context_pb2.ExecutedCommand:
    return agent_context_pb2.ExecutedCommand(
        command=command.command, exit_code=_exit_code(command), execute_time=to_timestamp(command.execute_time)
    )


def _exit_code(command: ExecutedCommand) -> int | None:
    """In 32 bits with a sign: some systems count without one. What no system can have said is left out."""
    code = command.exit_code
    if code is None or not -(2**31) <= code < 2**32:
        return None
    return code if code < 2**31 else code - 2**32


def _to_architect(work: DesignWork) -> agent_context_pb2.ArchitectContext:
    return agent_context_pb2.ArchitectContext(
        documents_created=work.documents_created,
        diagrams_created=work.diagrams_created,
        design_decisions=work.design_decisions,
        architecture_patterns=work.architecture_patterns,
    )


def _to_debug(work: DebugWork) -> agent_context_pb2.DebugContext:
    return agent_context_pb2.DebugContext(
        errors_investigated=work.errors_investigated,
        logs_analyzed=work.logs_analyzed,
        root_causes_found=work.root_causes_found,
        suggested_fixes=work.suggested_fixes,
    )
