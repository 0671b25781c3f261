"""Runs servers with failpoints quickly: one process imports everything once and is forked for each server.

It reads one JSON object a line: `{"arguments", "environment", "log"}` starts a server with these arguments. It answers
`{"started": pid}`, and `{"ended": pid, "code": …}` when one is gone. When its input ends, it kills them all.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

from tests.faults.points.failpoints import Failpoints

DIRECTORY = "FAILPOINTS_DIRECTORY"

# What takes long to import. gRPC is not among it: a process that has it must not be forked.
_PRELOADED = (
    "alembic.command",
    "asyncpg",
    "server.cli",
    "services.infrastructure.agents.definition_files",
    "services.infrastructure.llm",
    "services.infrastructure.notify.postgres",
    "services.infrastructure.notify.redis",
    "services.infrastructure.persistence.open",
    "services.infrastructure.persistence.read_model",
    "services.infrastructure.persistence.session_store",
    "services.infrastructure.tools",
    "uvloop",
)


def main() -> None:
    """Starts servers as it is told."""
    for name in _PRELOADED:
        importlib.import_module(name)
    if "grpc" in sys.modules:
        raise AssertionError("gRPC must not be imported before a fork")
    living: set[int] = set()
    # The ends of children are reported from here, between two lines; the signal interrupts the wait for a line.
    signal.signal(signal.SIGCHLD, lambda *_: _report_ends(living))
    while line := sys.stdin.readline():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _serve(json.loads(line))
        living.add(pid)
        _say({"started": pid})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _report_ends(living: set[int]) -> None:
    for pid in list(living):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            living.discard(pid)
            _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(answer: dict[str, int]) -> None:
    os.write(1, f"{json.dumps(answer)}\n".encode())


def _serve(told: dict[str, object]) -> None:
    """The forked process: the server's own command, its points wired in; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        log = os.open(str(told["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(stream, target)
        environment, arguments = told["environment"], told["arguments"]
        assert isinstance(environment, dict)
        assert isinstance(arguments, list)
        os.environ.update(environment, GRPC_VERBOSITY="NONE")
        from tests.faults.points.wiring import install

        install(Failpoints(Path(os.environ[DIRECTORY])))
        from server.cli import app

        app(arguments, standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
