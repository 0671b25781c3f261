"""`make run-local-model`: a small real model on this machine, and a development server in front of it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from devtools.local_model.servers import LocalModelError, llama_server
from devtools.runtime_process import RuntimeNotStartedError, RuntimeProcess

_ADDRESS = "127.0.0.1:50051"


def local_model_settings(listen: str = "127.0.0.1:0") -> dict[str, str]:
    """What a runtime in front of the llama.cpp server is told."""
    return {"LLM_PROFILE": "llama.cpp", "LLM_MODEL": "smollm2", "LISTEN": listen}


async def serve(listen: str) -> int:
    """Runs both until Ctrl-C; returns the exit code. Sessions are forgotten in the end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        with tempfile.TemporaryDirectory(prefix="agent-runtime-local-model-") as directory:
            database = f"sqlite:///{Path(directory, 'runtime.db')}"
            async with llama_server() as url, RuntimeProcess(database, url, local_model_settings(listen)) as runtime:
                print(f"llama.cpp with a small real model at {url}", flush=True)
                print(f"agent-runtime at {runtime.address}. Talk to it, in another terminal:", flush=True)
                print(f'  make chat ARGS="--address {runtime.address} --agent ask"', flush=True)
                print("It is a very small model: it chats, and calls no tools. Ctrl-C stops both.", flush=True)
                await stop.wait()
                await runtime.terminate()
    except (LocalModelError, RuntimeNotStartedError) as error:
        print(f"run-local-model: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make run-local-model", description=__doc__)
    parser.add_argument("--listen", default=_ADDRESS, help=f"where the runtime listens; default: {_ADDRESS}")
    return asyncio.run(serve(parser.parse_args().listen))


if __name__ == "__main__":
    sys.exit(main())
