"""The slash commands of the chat that ask the runtime something."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from agent_runtime.v1.session_pb2 import Session
from client.chat.transcript import Transcript
from client.chat.visible import one_line, visible
from client.runtime_client import RuntimeClient

HELP = (
    ("/agent", "who there is"),
    ("/agent NAME", "hand the session to another agent"),
    ("/new", "begin a new session"),
    ("/session", "about this session"),
    ("/session ID", "go to another session"),
    ("/history [N]", "the last N messages (10)"),
    ("/resume", "go on with a turn that failed or ran out of its limits"),
    ("/help", "this list"),
    ("/quit", "leave; so does Ctrl-D. The session stays"),
    ("Ctrl-C", "cancel the turn that is running"),
)


def show_help(transcript: Transcript) -> None:
    """What can be typed."""
    table = Table.grid(padding=(0, 3))
    for command, meaning in HELP:
        table.add_row(Text(f"  {command}", style="bold"), Text(meaning, style="dim"))
    transcript.screen.line(table)
    transcript.note("  A line that ends in \\ goes on in the next one.", "dim")


async def list_agents(client: RuntimeClient, session_id: str, transcript: Transcript) -> None:
    """Who there is, and who is current. Raises RuntimeCallError."""
    current = (await client.session(session_id)).current_agent
    table = Table.grid(padding=(0, 3))
    for agent in await client.agents():
        mark = "•" if agent.name == current else " "
        table.add_row(Text(f"{mark} {visible(agent.name)}", style="bold"), Text(one_line(agent.description, 160)))
    transcript.screen.line(table)


async def show_session(client: RuntimeClient, session_id: str, transcript: Transcript) -> None:
    """The session's facts. Raises RuntimeCallError."""
    session = await client.session(session_id)
    for line in session_lines(session):
        transcript.note(line, "dim")


def session_lines(session: Session) -> list[str]:
    """What is worth knowing of a session."""
    lines = [f"  session {session.id}"]
    if session.title:
        lines.append(f"  title   {one_line(session.title, 100)}")
    lines.append(f"  agent   {session.current_agent}")
    lines.append(f"  history {session.message_count} of {session.message_limit} messages")
    return lines
