"""The command line of the chat."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

ADDRESS_VARIABLE = "AGENT_RUNTIME_ADDRESS"
KEY_VARIABLE = "AGENT_RUNTIME_KEY"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What was asked for; `address` and `session_id` are empty if they were not given."""

    address: str
    key: str
    owner: str
    session_id: str
    agent: str
    workspace: Path
    message: str | None
    approve_all: bool
    credentials: grpc.ChannelCredentials | None = None


def chat_parser(program: str) -> argparse.ArgumentParser:
    """The arguments every way to start a chat understands. Bad usage ends the process with exit code 2."""
    parser = argparse.ArgumentParser(prog=program, description="Talk to an agent runtime from a terminal.")
    parser.add_argument(
        "--address", default=os.environ.get(ADDRESS_VARIABLE, ""), help=f"host:port; default ${ADDRESS_VARIABLE}"
    )
    parser.add_argument("--tls", action="store_true", help="encrypt, and believe the authorities this machine believes")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="encrypt, and believe the authority in this PEM file")
    parser.add_argument("--owner", default="", help="whose sessions, for gateways' keys and development mode")
    parser.add_argument("--session", default="", metavar="ID", help="go on with this session; made if there is none")
    parser.add_argument("--agent", default="", metavar="NAME", help="the agent a new session begins with")
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="where tools work; default: this directory"
    )
    parser.add_argument("--message", metavar="TEXT", help="send this, print the answer and end; - reads it from stdin")
    parser.add_argument(
        "--yes", action="store_true", help="with --message: approve every call, but for hidden characters"
    )
    return parser


def chat_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> ChatOptions:
    """The options in the arguments, the process's own by default."""
    return options_of(parser, parser.parse_args(arguments))


def options_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> ChatOptions:
    """The options in what the parser found; ends the process with exit code 2 if they do not go together."""
    if given.yes and given.message is None:
        parser.error("--yes goes with --message; in a chat you are asked")
    if given.message is not None and given.message != "-" and not given.message.strip():
        parser.error("--message must not be blank")
    if not given.workspace.is_dir():
        parser.error(f"{given.workspace} is not a directory")
    credentials = None
    if given.ca is not None or given.tls:
        try:
            credentials = grpc.ssl_channel_credentials(given.ca.read_bytes() if given.ca is not None else None)
        except OSError as error:
            parser.error(f"{given.ca} cannot be read: {error.strerror}")
    return ChatOptions(
        address=given.address,
        key=os.environ.get(KEY_VARIABLE, ""),
        owner=given.owner,
        session_id=given.session,
        agent=given.agent,
        workspace=given.workspace,
        message=given.message,
        approve_all=given.yes,
        credentials=credentials,
    )
