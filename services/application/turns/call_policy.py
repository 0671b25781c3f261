"""Which calls of a model may run at all: decided before anything of them is stored as an order or shown to anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.application.ports import AgentCatalog, SchemaValidator, ToolCatalog
from services.domain.agent import AgentDefinition, ClientToolAccess
from services.domain.errors import AgentNotFoundError
from services.domain.message import MessageToolCall
from services.domain.policies.approval_rules import (
    ALWAYS_ASK,
    ApprovalEffect,
    ApprovalRule,
    ApprovalRuling,
    Matches,
    decide,
    matches_nothing,
    policy_version,
)
from services.domain.policies.arguments import ArgumentsError, parse_arguments
from services.domain.policies.file_rules import path_arguments, refusal_of_path, refusal_of_write
from services.domain.tool import SWITCH_MODE, ClientTool, Tool, ToolExecutor
from services.domain.tool_call import ToolCall

_NAMES_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be thought of one call. With a `refusal`, in words for the model, it must not run; with an
    `approval_reason` a person is asked first. `arguments` are what could be read of them.

    `rule` is the explicit rule that decided, if one did, `policy_version` names all that were asked.
    """

    refusal: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    approval_reason: str | None = None
    can_remember: bool = False
    rule: ApprovalRule | None = None
    policy_version: str = ""


class CallPolicy:
    """Judges calls by what the agent is offered, the tool's schema, the agent's file rules and the approval rules.

    Pure but for the catalogs it reads; callable from any thread. `rules` are the operator's, in their order.
    """

    def __init__(
        self,
        tools: ToolCatalog,
        schemas: SchemaValidator,
        agents: AgentCatalog,
        rules: Sequence[ApprovalRule] = (),
        matching: Callable[[], Matches] = lambda: matches_nothing,
    ) -> None:
        self._tools = tools
        self._schemas = schemas
        self._agents = agents
        self._rules = tuple(rules)
        self._matching = matching

    def offered(self, agent: AgentDefinition, client_tools: Sequence[ClientTool]) -> tuple[Tool, ...]:
        """The tools an agent is offered in a session: its own, then those of the client that it may use."""
        built_in = (self._tools.get(name) for name in agent.tools)
        brought = (tool for tool in client_tools if _may_use(agent, tool))
        return (*(tool for tool in built_in if tool is not None), *(as_tool(tool) for tool in brought))

    def check(self, call: MessageToolCall, agent: AgentDefinition, client_tools: Sequence[ClientTool]) -> Judgement:
        """Whether this agent may make this call at all, in a session with these client tools; no rule is asked yet."""
        offered = {tool.name: tool for tool in self.offered(agent, client_tools)}
        tool = offered.get(call.name)
        if tool is None:
            return Judgement(_no_such_tool(offered))
        try:
            arguments = parse_arguments(call.arguments_json)
        except ArgumentsError as error:
            return Judgement(str(error))
        refusal = (
            self._schemas.violation(tool.parameters, arguments)
            or _refusal_of_paths(tool.name, arguments, agent)
            or self._refusal_of_mode(tool.name, arguments)
        )
        return Judgement(refusal, arguments)

    def rule(
        self,
        calls: Sequence[MessageToolCall],
        checked: Sequence[Judgement],
        client_tools: Sequence[ClientTool],
        rules: Sequence[ApprovalRule],
    ) -> list[Judgement]:
        """What the operator's rules and those of the session make of calls that were checked."""
        applying = (*self._rules, *rules)
        version = policy_version(applying)
        return [
            replace(self._ruled(call.name, each, client_tools, applying), policy_version=version)
            for call, each in zip(calls, checked, strict=True)
        ]

    def refusal_now(
        self,
        call: ToolCall,
        client_tools: Sequence[ClientTool],
        rules: Sequence[ApprovalRule],
        edited: str | None = None,
    ) -> str | None:
        """Why a call that was asked about must not run any more; None if it may.

        As the model made it, only a rule that denies it can stop it; with arguments that a person wrote it is judged
        anew, with the rights of the agent that made it.
        """
        made = MessageToolCall(call.id, call.name, call.arguments_json if edited is None else edited)
        if edited is None:
            checked = Judgement(None, parse_arguments(made.arguments_json))
            # A client's tool that is gone since then is still what was asked about.
            client_tools = (*client_tools, ClientTool(call.name, "", "", read_only=False))
        else:
            try:
                checked = self.check(made, self._agents.get(call.agent), client_tools)
            except AgentNotFoundError:
                return "the agent that made the call is no longer defined"
        [judged] = self.rule([made], [checked], client_tools, rules)
        return judged.refusal

    def _ruled(
        self, tool: str, checked: Judgement, client_tools: Sequence[ClientTool], rules: Sequence[ApprovalRule]
    ) -> Judgement:
        if checked.refusal is not None:
            return checked
        ruling = decide(
            rules,
            tool,
            checked.arguments,
            client_tools={each.name for each in client_tools},
            read_only_client_tools={each.name for each in client_tools if each.read_only},
            matches=self._matching(),
        )
        if ruling.effect is ApprovalEffect.DENY:
            return replace(checked, refusal=_denied(ruling), rule=ruling.rule)
        reason = _reason(tool, ruling) if ruling.effect is ApprovalEffect.ASK else None
        return replace(checked, approval_reason=reason, can_remember=ruling.remember_allowed, rule=ruling.rule)

    def _refusal_of_mode(self, tool: str, arguments: Mapping[str, object]) -> str | None:
        """Why a hand-over cannot happen: nobody of that name, or one who answers nobody."""
        if tool != SWITCH_MODE:
            return None
        modes = [agent.name for agent in self._agents.all() if not agent.routes]
        if arguments.get("mode") in modes:
            return None
        return f"there is no such mode; there are {', '.join(modes[:_NAMES_SHOWN])}"


def as_tool(tool: ClientTool) -> Tool:
    """A client's tool as the model is offered it."""
    parameters = json.loads(tool.parameters_json) if tool.parameters_json else {"type": "object", "properties": {}}
    return Tool(tool.name, tool.description, parameters, ToolExecutor.CLIENT, tool.read_only)


def _may_use(agent: AgentDefinition, tool: ClientTool) -> bool:
    return agent.client_tools is ClientToolAccess.ALL or (
        agent.client_tools is ClientToolAccess.READ_ONLY and tool.read_only
    )


def _no_such_tool(offered: Mapping[str, Tool]) -> str:
    names = ", ".join(list(offered)[:_NAMES_SHOWN])
    return f"you have no such tool; yours are: {names}" if names else "you have no tools; answer in words"


def _refusal_of_paths(tool: str, arguments: Mapping[str, object], agent: AgentDefinition) -> str | None:
    for argument, path, is_write in path_arguments(tool, arguments):
        refusal = refusal_of_write(path, agent.file_rules) if is_write else refusal_of_path(path)
        if refusal is not None:
            return f"{argument}: {refusal}"
    return None


def _denied(ruling: ApprovalRuling) -> str:
    said = f" ({ruling.rule.description})" if ruling.rule is not None and ruling.rule.description else ""
    return f"a rule forbids it{said}"


def _reason(tool: str, ruling: ApprovalRuling) -> str:
    if ruling.rule is not None:
        return ruling.rule.description or f"the rule {ruling.rule.id} asks for a decision"
    return f"{tool} always asks" if tool in ALWAYS_ASK else f"{tool} asks unless a rule allows it"
