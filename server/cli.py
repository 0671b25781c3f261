"""The command line: serve, migrate, settings. What goes wrong at start is one line and exit code 2."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from server.authentication.selection import authentication_mode
from server.config import Settings, load_settings, unknown_variables
from server.settings_reference import settings_reference
from server.startup_error import StartupError
from server.telemetry.logs import configure_logging

# A prompt, tools, a question and room for an answer; with less, histories are cut at every turn.
_SMALL_WINDOW = 16_000

app = typer.Typer(help="Agent Runtime", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DatabaseUrl = Annotated[str | None, typer.Option(help="Database; prefer the variable if it holds a password.")]


@app.command()
def serve(
    dev: Annotated[bool | None, typer.Option("--dev", help="Development: no keys needed, reflection on.")] = None,
    listen: Annotated[str | None, typer.Option(help="Address, host:port; port 0 takes a free one.")] = None,
    database_url: DatabaseUrl = None,
    reflection: Annotated[bool | None, typer.Option(help="Let the API describe itself.")] = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the bound address here once serving.")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then end open streams with a cursor and stop."""
    with _one_line_errors():
        settings = load_settings(dev=dev, listen=listen, database_url=database_url, reflection=reflection)
        settings.check_guarded()
        _configure_logging(settings)

        def announce(address: str) -> None:
            if port_file is not None:
                _write_whole(port_file, address)
            typer.echo(_serving_line(settings, address))

        # Imported late: the other commands need none of it, and gRPC must find its log switched off.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from server.bootstrap import run
        from server.tls import server_credentials

        server_credentials(settings.tls)  # files that cannot be used stop the start before a database is changed
        uvloop.run(run(settings, announce))
        # The loop is gone and with it our handlers; a late second signal must not turn success into failure.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


@app.command()
def migrate(database_url: DatabaseUrl = None) -> None:
    """Bring the database to the schema of this release."""
    with _one_line_errors():
        settings = load_settings(database_url=database_url)
        _configure_logging(settings)
        from server.bootstrap import migrate

        uvloop.run(migrate(settings))


@app.command()
def settings() -> None:
    """Print every setting, its default and its meaning as Markdown."""
    typer.echo(settings_reference(), nl=False)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except StartupError as error:
        typer.echo(f"agent-runtime: {error}", err=True)
        raise typer.Exit(2) from None


def _configure_logging(settings: Settings) -> None:
    configure_logging(
        level=settings.log_level,
        levels=settings.log_levels,
        log_format=settings.log_format,
        secrets=settings.secret_values(),
    )
    log = structlog.stdlib.get_logger("server.config")
    for name in unknown_variables():
        log.warning("unknown setting ignored", variable=name)
    if (least := min([settings.context.window, *settings.context.windows.values()])) < _SMALL_WINDOW:
        log.warning("a model reads so little that turns may not fit", window=least)
    if settings.dev and not settings.anybody_may_call and not settings.on_loopback:
        log.warning("anybody who reaches this address is an operator", listen=settings.listen)


def _serving_line(settings: Settings, address: str) -> str:
    return (
        f"agent-runtime: serving on {address}, database {settings.database_kind}, "
        f"model {settings.llm_model} at {settings.llm_proxy_url}, authentication {authentication_mode(settings)}"
    )


def _write_whole(path: Path, text: str) -> None:
    """Whoever waits for the file never reads half of it."""
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(f"{text}\n", encoding="utf-8")
    draft.replace(path)
