"""Runs the scripted model as a process: `python -m devtools.scripted_model --port 8001 --script answers.json`."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

from devtools.scripted_model.script import Script, parse_script
from devtools.scripted_model.server import ScriptedModelServer, serving


async def serve_until_stopped(script: Script, *, host: str, port: int, echo_delay: float) -> None:
    """Prints one line, which ends with the base url, when ready; ends on SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serving(ScriptedModelServer(script, echo_delay=echo_delay), host=host, port=port) as url:
        print(f"scripted model at {url}", flush=True)
        await stopped.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="devtools.scripted_model", description="A model that plays a script.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--script", type=Path, help="JSON, see devtools/scripted_model/README.md; default: only echoes")
    parser.add_argument("--echo-delay", type=float, default=0.02, help="seconds before each word of an echo")
    options = parser.parse_args()
    script = parse_script(options.script.read_bytes()) if options.script else Script()
    serving_forever = serve_until_stopped(script, host=options.host, port=options.port, echo_delay=options.echo_delay)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving_forever)


if __name__ == "__main__":
    main()
