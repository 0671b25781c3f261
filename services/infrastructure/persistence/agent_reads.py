"""Reading what agents did: the switches of a session, and usage by agent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, func, select

from services.application.ports import AgentUsage, Page, PageKey
from services.domain.agent_context import AgentSwitch
from services.domain.model_exchange import Usage
from services.infrastructure.persistence.paging import page_of
from services.infrastructure.persistence.rows import switch_from
from services.infrastructure.persistence.session_reads import locate
from services.infrastructure.persistence.tables import agent_switches, sessions, turn_agents


def read_switches(
    connection: Connection,
    owner_id: str,
    session_id: str,
    *,
    newest_first: bool,
    limit: int,
    after: PageKey | None,
) -> Page[AgentSwitch]:
    """One page of the switch history; see `ReadModel.switches`."""
    location = locate(connection, owner_id, session_id)
    ordinal = agent_switches.c.ordinal
    statement = select(agent_switches).where(agent_switches.c.session_key == location.session_key)
    if after is not None:
        last = int(after[0])
        statement = statement.where(ordinal < last if newest_first else ordinal > last)
    order = ordinal.desc() if newest_first else ordinal.asc()
    rows = connection.execute(statement.order_by(order).limit(limit + 1)).all()
    return page_of(rows, limit, item=switch_from, key=lambda row: (row.ordinal,), size=lambda row: len(row.reason))


def read_usage(
    connection: Connection,
    owner_id: str,
    session_id: str | None,
    since: datetime | None,
    before: datetime | None,
) -> list[AgentUsage]:
    """Sums by agent name; see `ReadModel.agent_usage`."""
    worked = [sessions.c.owner_id == owner_id, sessions.c.delete_time.is_(None)]
    if session_id is not None:
        worked.append(sessions.c.session_key == locate(connection, owner_id, session_id).session_key)
    switched = list(worked)
    if since is not None:
        worked.append(turn_agents.c.create_time >= since)
        switched.append(agent_switches.c.time >= since)
    if before is not None:
        worked.append(turn_agents.c.create_time < before)
        switched.append(agent_switches.c.time < before)
    sums = (
        select(
            turn_agents.c.agent,
            func.count(turn_agents.c.session_key.distinct()).label("sessions"),
            func.count().label("turns"),
            func.sum(turn_agents.c.model_calls).label("model_calls"),
            func.sum(turn_agents.c.tool_calls).label("tool_calls"),
            func.sum(turn_agents.c.prompt_tokens).label("prompt_tokens"),
            func.sum(turn_agents.c.completion_tokens).label("completion_tokens"),
            func.sum(turn_agents.c.cached_tokens).label("cached_tokens"),
            func.sum(turn_agents.c.reasoning_tokens).label("reasoning_tokens"),
            func.max(case((turn_agents.c.estimated, 1), else_=0)).label("estimated"),
        )
        .join(sessions, sessions.c.session_key == turn_agents.c.session_key)
        .where(*worked)
        .group_by(turn_agents.c.agent)
        .order_by(turn_agents.c.agent)
    )
    switches = (
        select(agent_switches.c.to_agent, func.count().label("switches"))
        .join(sessions, sessions.c.session_key == agent_switches.c.session_key)
        .where(*switched)
        .group_by(agent_switches.c.to_agent)
    )
    switches_in = {row.to_agent: row.switches for row in connection.execute(switches)}
    return [
        AgentUsage(
            agent=row.agent,
            sessions=row.sessions,
            turns=row.turns,
            switches_in=switches_in.get(row.agent, 0),
            model_calls=int(row.model_calls),
            tool_calls=int(row.tool_calls),
            usage=Usage(
                int(row.prompt_tokens),
                int(row.completion_tokens),
                int(row.cached_tokens),
                int(row.reasoning_tokens),
                bool(row.estimated),
            ),
        )
        for row in connection.execute(sums)
    ]
