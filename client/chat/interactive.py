"""The chat with a person: a prompt, what they type, and what comes of it, until they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from rich.text import Text

from agent_runtime.v1.input_pb2 import Resume, UserMessage
from client.chat.commands import list_agents, show_help, show_session
from client.chat.conversation import Conversation, Outcome
from client.chat.keyboard import Keyboard
from client.chat.line_editing import prompt, remember
from client.chat.options import ChatOptions
from client.chat.person import InterruptedByPersonError
from client.chat.person_at_terminal import PersonAtTerminal
from client.chat.screen import Screen
from client.chat.transcript import Transcript
from client.errors import RuntimeCallError
from client.reconnection import ReconnectPolicy
from client.runtime_client import Input, RuntimeClient, connect
from client.tools.toolbox import Toolbox
from client.tools.workspace import Workspace

SHOWN_MESSAGES = 10
Result = TypeVar("Result")


class InteractiveChat:
    """One person, one workspace, one session at a time."""

    def __init__(self, options: ChatOptions, keyboard: Keyboard, screen: Screen) -> None:
        self._options = options
        self._keyboard = keyboard
        self._screen = screen
        self._transcript = Transcript(screen)
        self._workspace = Workspace(options.workspace)
        self._conversation: Conversation | None = None
        self._command: asyncio.Task[object] | None = None
        self._typed = ""  # what was typed and could not be sent

    async def run(self) -> int:
        """Chats until the person leaves; returns the exit code, 1 if there was no session to be had."""
        self._keyboard.on_interrupt = self._interrupted
        # A person sees what happens and can press Ctrl-C: coming back is tried for ever.
        policy = ReconnectPolicy(attempts=None, tell=self._transcript.reconnecting)
        chosen = self._options
        async with connect(
            chosen.address, key=chosen.key, owner=chosen.owner, credentials=chosen.credentials, policy=policy
        ) as client:
            await self._attempt(self._open(client, self._options.session_id))
            if self._conversation is None:
                return 1
            while (line := await self._read()) is not None:
                await self._attempt(self._obey(client, line))
            self._transcript.note(f"come back with --session {self._conversation.session_id}", "dim")
        return 0

    async def _read(self) -> str | None:
        """What the person says; None if they leave."""
        text, self._typed = self._typed, ""
        asked = prompt("you ▸ ", "cyan")
        lines: list[str] = []
        self._screen.line()
        try:
            while True:
                line = await self._keyboard.ask(prompt("  … ", "cyan") if lines else asked, prefill=text)
                lines.append(line.removesuffix("\\"))
                if not line.endswith("\\"):
                    break
        except InterruptedByPersonError:
            self._transcript.note("(Ctrl-D or /quit leaves)", "dim")
            return ""
        except EOFError:
            self._screen.line()
            return None
        said = "\n".join(lines)
        remember(said)
        return None if said.strip() in ("/quit", "/exit") else said

    async def _obey(self, client: RuntimeClient, line: str) -> None:
        assert self._conversation is not None
        command, _, rest = line.strip().partition(" ")
        match command, rest.strip():
            case "", _:
                pass
            case "/help", _:
                show_help(self._transcript)
            case "/agent", "":
                await list_agents(client, self._conversation.session_id, self._transcript)
            case "/agent", name:
                await client.switch_agent(self._conversation.session_id, name, "asked for in the chat")
                await self._conversation.catch_up()
            case "/new", _:
                await self._open(client, "")
            case "/session", "":
                await show_session(client, self._conversation.session_id, self._transcript)
            case "/session", session_id:
                await self._open(client, session_id)
            case "/history", count:
                number = int(count) if count.isdecimal() and int(count) else SHOWN_MESSAGES
                self._transcript.history(await client.last_messages(self._conversation.session_id, min(number, 500)))
            case "/resume", "":
                await self._say(self._conversation, Resume())
            case _ if command.startswith("/") and command[1:].isalpha():
                self._transcript.note(f"there is no {command}; /help lists what there is")
            case _:
                await self._say(self._conversation, UserMessage(text=line), typed=line)

    async def _say(self, conversation: Conversation, what: Input, typed: str = "") -> None:
        try:
            outcome = await conversation.say(what)
        except RuntimeCallError as error:
            if error.reason != "TURN_IN_PROGRESS":
                raise
            self._transcript.note("another turn is still active; following that one first")
            self._typed = typed
            if await conversation.join():
                await conversation.go_on()
            return
        if outcome is Outcome.LEFT:
            self._transcript.note("not followed any more; the turn may go on, /history shows what came of it")

    async def _open(self, client: RuntimeClient, session_id: str) -> None:
        created = await client.create_session(session_id, agent=self._options.agent, allow_existing=bool(session_id))
        session = created.session
        person = PersonAtTerminal(self._screen, self._keyboard, self._workspace)
        conversation = Conversation(client, session.id, Toolbox(self._workspace), person, self._transcript)
        kind = "new session" if created.created else "session"
        self._screen.line(
            Text.assemble(
                (f"{kind} ", "dim"),
                (session.id, "bold"),
                (f" · {session.current_agent} · {self._options.address} · works in {self._workspace.root}", "dim"),
            )
        )
        if created.created:
            self._transcript.note("/help shows what else can be typed; Ctrl-C stops an answer, Ctrl-D leaves", "dim")
        else:
            self._transcript.history(await client.last_messages(session.id, SHOWN_MESSAGES))
        active = await conversation.join()
        self._conversation = conversation
        if active:
            self._transcript.note("a turn is active; taking it up", "dim")
            await conversation.go_on()

    async def _attempt(self, command: Coroutine[None, None, Result]) -> None:
        """Runs a command that Ctrl-C may stop and that may be refused."""
        self._command = asyncio.create_task(command)
        try:
            await asyncio.wait({self._command})
            if not self._command.cancelled():
                self._command.result()
        except RuntimeCallError as error:
            self._transcript.note(_refusal(error), "red")
        finally:
            self._command.cancel()
            self._command = None
            self._screen.end_line()

    def _interrupted(self) -> None:
        if self._conversation is not None and self._conversation.is_busy:
            self._conversation.interrupt()
        elif self._command is not None:
            self._command.cancel()


def _refusal(error: RuntimeCallError) -> str:
    fields = "".join(f"\n  {violation.field}: {violation.description}" for violation in error.field_violations)
    later = f"; worth another try in {error.retry_delay:.0f} s" if error.retry_delay else ""
    return f"{error.message} ({error.reason or error.code.name}{later}){fields}"
