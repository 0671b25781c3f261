"""AgentService: proto in, use case, proto out."""

from __future__ import annotations

from dataclasses import dataclass

from agent_runtime.v1 import agent_service_pb2
from agent_runtime.v1.agent_service_pb2_grpc import AgentServiceServicer
from server.converters import agent_requests
from server.converters.agent import to_agent
from server.converters.agent_context import to_agent_context, to_agent_switch
from server.converters.page_tokens import PageTokens
from server.converters.usage import to_agent_usage_stats
from server.handlers.correlation import correlation_id
from server.interceptors.authentication import current_principal
from services.application.agents.get_agent import GetAgent
from services.application.agents.get_agent_context import GetAgentContext
from services.application.agents.get_agent_usage_stats import GetAgentUsageStats
from services.application.agents.list_agent_switches import ListAgentSwitches
from services.application.agents.list_agents import ListAgents
from services.application.agents.reset_agent import ResetAgent
from services.application.agents.switch_agent import SwitchAgent
from services.application.ports import ToolCatalog


@dataclass(frozen=True, kw_only=True)
class AgentHandler(AgentServiceServicer):
    """Answers the RPCs of AgentService."""

    list_agents: ListAgents
    get_agent: GetAgent
    get_agent_context: GetAgentContext
    list_agent_switches: ListAgentSwitches
    get_agent_usage_stats: GetAgentUsageStats
    switch_agent: SwitchAgent
    reset_agent: ResetAgent
    tools: ToolCatalog
    page_tokens: PageTokens

    async def ListAgents(
        self, request: agent_service_pb2.ListAgentsRequest, context: object
    ) -> agent_service_pb2.ListAgentsResponse:
        owner_id = current_principal().owner_id
        fields = agent_requests.from_list_agents(request)
        page = await self.list_agents.execute(**fields, after=self.page_tokens.read(owner_id, request))
        return agent_service_pb2.ListAgentsResponse(
            agents=[to_agent(agent, self.tools) for agent in page.items],
            next_page_token=self.page_tokens.issue(owner_id, request, page.next_after),
        )

    async def GetAgent(
        self, request: agent_service_pb2.GetAgentRequest, context: object
    ) -> agent_service_pb2.GetAgentResponse:
        agent = await self.get_agent.execute(**agent_requests.from_get_agent(request))
        return agent_service_pb2.GetAgentResponse(agent=to_agent(agent, self.tools))

    async def GetAgentContext(
        self, request: agent_service_pb2.GetAgentContextRequest, context: object
    ) -> agent_service_pb2.GetAgentContextResponse:
        fields = agent_requests.from_get_agent_context(request)
        view = await self.get_agent_context.execute(current_principal(), **fields)
        return agent_service_pb2.GetAgentContextResponse(agent_context=to_agent_context(view))

    async def SwitchAgent(
        self, request: agent_service_pb2.SwitchAgentRequest, context: object
    ) -> agent_service_pb2.SwitchAgentResponse:
        fields = agent_requests.from_switch_agent(request)
        view, switch = await self.switch_agent.execute(current_principal(), **fields, correlation_id=correlation_id())
        return agent_service_pb2.SwitchAgentResponse(
            agent_context=to_agent_context(view), agent_switch=to_agent_switch(switch)
        )

    async def ResetAgent(
        self, request: agent_service_pb2.ResetAgentRequest, context: object
    ) -> agent_service_pb2.ResetAgentResponse:
        fields = agent_requests.from_reset_agent(request)
        view = await self.reset_agent.execute(current_principal(), **fields, correlation_id=correlation_id())
        return agent_service_pb2.ResetAgentResponse(agent_context=to_agent_context(view))

    async def ListAgentSwitches(
        self, request: agent_service_pb2.ListAgentSwitchesRequest, context: object
    ) -> agent_service_pb2.ListAgentSwitchesResponse:
        principal = current_principal()
        fields = agent_requests.from_list_agent_switches(request)
        after = self.page_tokens.read(principal.owner_id, request)
        page = await self.list_agent_switches.execute(principal, **fields, after=after)
        return agent_service_pb2.ListAgentSwitchesResponse(
            agent_switches=[to_agent_switch(switch) for switch in page.items],
            next_page_token=self.page_tokens.issue(principal.owner_id, request, page.next_after),
        )

    async def GetAgentUsageStats(
        self, request: agent_service_pb2.GetAgentUsageStatsRequest, context: object
    ) -> agent_service_pb2.GetAgentUsageStatsResponse:
        fields = agent_requests.from_get_agent_usage_stats(request)
        stats = await self.get_agent_usage_stats.execute(current_principal(), **fields)
        return agent_service_pb2.GetAgentUsageStatsResponse(stats=[to_agent_usage_stats(row) for row in stats])
