"""`python -m client.chat --address host:port`: the chat with a runtime that runs elsewhere."""

from __future__ import annotations

import sys

from client.chat.options import chat_options, chat_parser
from client.chat.starting import start


def main() -> int:
    """The command line; returns the exit code."""
    parser = chat_parser("python -m client.chat")
    options = chat_options(parser)
    if not options.address:
        parser.error("where is the runtime? give --address host:port")
    return start(options)


if __name__ == "__main__":
    sys.exit(main())
