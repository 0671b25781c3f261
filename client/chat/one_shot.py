"""One message, one answer, for scripts: the answer alone goes to standard output, everything else beside it."""

from __future__ import annotations

import asyncio
import signal
import sys

from rich.console import Console

from agent_runtime.v1.input_pb2 import UserMessage
from client.chat.bystander import Bystander
from client.chat.conversation import Conversation, Outcome
from client.chat.options import ChatOptions
from client.chat.screen import Screen
from client.chat.transcript import Transcript
from client.errors import RuntimeCallError
from client.reconnection import ReconnectPolicy
from client.runtime_client import connect
from client.tools.toolbox import Toolbox
from client.tools.workspace import Workspace


async def one_shot(options: ChatOptions, text: str) -> int:
    """Sends the text; returns the exit code: 0 if the turn completed, 1 if not."""
    transcript = Transcript(Screen(Console(stderr=True, highlight=False)))
    policy = ReconnectPolicy(tell=transcript.reconnecting)
    try:
        async with connect(
            options.address, key=options.key, owner=options.owner, credentials=options.credentials, policy=policy
        ) as client:
            created = await client.create_session(
                options.session_id, agent=options.agent, allow_existing=bool(options.session_id)
            )
            conversation = Conversation(
                client,
                created.session.id,
                Toolbox(Workspace(options.workspace)),
                Bystander(approve_all=options.approve_all),
                transcript,
            )
            if await conversation.join():
                transcript.note("a turn is still active in this session; open it in a chat", "red")
                return 1
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, conversation.interrupt)
            outcome = await conversation.say(UserMessage(text=text))
            transcript.screen.end_line()
    except RuntimeCallError as error:
        transcript.note(str(error), "red")
        return 1
    if outcome is not Outcome.COMPLETED:
        return 1
    sys.stdout.write(conversation.result_text.removesuffix("\n") + "\n")
    sys.stdout.flush()
    return 0
