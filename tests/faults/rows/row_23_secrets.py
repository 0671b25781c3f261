"""Row 23: secrets and what people say are planted everywhere, everything is broken, and nothing of it may come out."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc

from devtools.local_postgres import LocalPostgres, local_postgres
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, running_scripted_model
from tests.faults.harness.planted_talk import Caller, talk
from tests.faults.harness.sentinels import BODIES, SECRETS, Sentinels, check_log
from tests.faults.harness.verdict import Measure, Verdict
from tests.support.credentials import AUDIENCE, ISSUER, Authority, key_set, public_jwk, rsa_key, token
from tests.support.postgres import PostgresServer
from tests.support.raw_http2 import raw_call
from tests.support.tcp_relay import TcpRelay, relay_to
from tests.support.unlimited import UNLIMITED

ROW = 23
REDUCED, FULL = 500, 10_000
_ROLE = "sentinel"
_RAW_AT_ONCE = 8
_RPC = "/agent_runtime.v1.AgentService/ListAgents"  # nobody else in the row does it well


@dataclass(frozen=True, slots=True)
class _Site:
    """One server full of sentinels, and what can be broken around it."""

    runtime: RuntimeProcess
    model: ScriptedModel
    wire: TcpRelay
    database: str
    authority: Authority
    encrypted: bool

    def channel(self) -> grpc.aio.Channel:
        """A way to the server."""
        if not self.encrypted:
            return grpc.aio.insecure_channel(self.runtime.address)
        return grpc.aio.secure_channel(self.runtime.address, grpc.ssl_channel_credentials(self.authority.certificate))


async def run(hostile: int, seed: int) -> Verdict:
    """The same talk at INFO, with so many calls with hostile headers besides, and at DEBUG, encrypted."""
    planted = Sentinels(seed)
    planted.replace("token", token(sub="ann"))
    planted.replace("token signed wrongly", token(sub="ann", key=rsa_key("mallory")))
    complaints: list[str] = []
    controls = lines = refusals = calls = 0
    async with local_postgres() as postgres:
        for level in ("INFO", "DEBUG"):
            async with _site(postgres, planted, level, encrypted=level == "DEBUG") as site:
                caller = Caller(planted)
                await _converse(site, planted, caller)
                if level == "INFO":
                    calls = await _shout(site, planted, hostile, seed)
                complaints += [f"{level}: it ended with {code}" for code in [await site.runtime.terminate()] if code]
                text = site.runtime.log.read_text(encoding="utf-8")
                await _search_database(site, planted)
            logged, wrong, found = check_log(text)
            complaints += wrong
            controls += found
            lines += len(logged)
            refusals += len(caller.refusals)
            planted.search(f"the log at {level}", text, SECRETS + (BODIES if level == "INFO" else ()))
            for refusal in caller.refusals:
                planted.search("an error", refusal, SECRETS + BODIES)
            if level == "INFO":
                # The core may have cut some off before they were calls; none makes more than its one line.
                mine = [line for line in logged if line["event"] == "rpc" and line["method"] == _RPC]
                reached = sum(line["code"] == "OK" for line in mine)
                if not calls // 2 <= reached <= calls:
                    complaints.append(f"{calls} hostile calls made {reached} lines")
    return Verdict(
        ROW,
        seed,
        (
            Measure("sentinels", len(planted), at_least=40),
            Measure("hits", len(planted.hits), at_most=0, at_least=0),
            Measure("hostile_calls", calls, at_least=hostile),
            Measure("control_bytes", controls, at_most=0, at_least=0),
            Measure("log_lines", lines, at_least=hostile // 2),
            Measure("refusals", refusals, at_least=20),
        ),
        (*sorted(set(planted.hits)), *complaints),
    )


@asynccontextmanager
async def _site(postgres: LocalPostgres, planted: Sentinels, level: str, *, encrypted: bool) -> AsyncIterator[_Site]:
    """A server with a credential of every kind, on a database of its own."""
    name, password = f"row_23_{level.lower()}", planted["password of the database"]
    admin = await asyncpg.connect(postgres.url)
    await admin.execute(f"DROP ROLE IF EXISTS {_ROLE}_{level}")
    await admin.execute(f"CREATE ROLE {_ROLE}_{level} SUPERUSER LOGIN PASSWORD '{password}'")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    authority = Authority()
    with tempfile.TemporaryDirectory(prefix="sentinels-") as directory:
        files = Path(directory)
        certificate, key = authority.issue("127.0.0.1")
        planted.replace("private key of tls", key.decode().splitlines()[1])
        (files / "server.pem").write_bytes(certificate)
        (files / "server.key").write_bytes(key)
        (files / "keys.json").write_bytes(key_set(public_jwk(rsa_key("issuer"), "rsa")))
        keys = [
            {"key": planted["service key"], "name": "gateway", "owner": "ann", "gateway": True},
            {"key": planted["second service key"], "name": "gateway", "owner": "ann", "gateway": True},
        ]
        async with relay_to(postgres.url) as wire, running_scripted_model() as model:
            fallback = {"base_url": model.url, "model": "spare", "api_key": planted["key of a fallback"]}
            settings = UNLIMITED | {
                "DEV": "false",
                "KEYS": json.dumps(keys),
                "LLM_API_KEY": planted["key of the model"],
                "LOG_LEVEL": level,
                "REDIS_URL": f"redis://:{planted['password of redis']}@127.0.0.1:1/0",
                "DRAIN_DELAY": "0",
                "LLM_PROGRESS_TIMEOUT": "1",
                "JWT__KEY_SET": str(files / "keys.json"),
                "JWT__ISSUER": ISSUER,
                "JWT__AUDIENCE": AUDIENCE,
                "RESILIENCE__MODEL_ATTEMPTS": "1",
                "RESILIENCE__MODEL_FALLBACKS": json.dumps([fallback]),
                "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000",
                "RESILIENCE__DATABASE_CIRCUIT_FAILURES": "1000000",
            }
            if encrypted:
                settings["TLS__CERTIFICATE"] = str(files / "server.pem")
                settings["TLS__PRIVATE_KEY"] = str(files / "server.key")
            url = f"postgresql://{_ROLE}_{level.lower()}:{password}@127.0.0.1:{wire.port}/{name}"
            async with RuntimeProcess(url, model.url, settings) as runtime:
                yield _Site(runtime, model, wire, PostgresServer(postgres.url).url_of(name), authority, encrypted)


async def _converse(site: _Site, planted: Sentinels, caller: Caller) -> None:
    """Everything people do, and everything that can go wrong while they do."""
    async with site.channel() as channel:
        caller.connect(channel)
        await talk(caller, site.model)
        session = await caller.client.new_session(agent="universal", title=planted["title"])
        for broken, undo in (
            # The database says which row it refuses, with the beginning of all that is in it.
            ("ADD CONSTRAINT broken CHECK (false) NOT VALID", "DROP CONSTRAINT broken"),
            ("RENAME COLUMN title TO elsewhere", "RENAME COLUMN elsewhere TO title"),
        ):
            await _execute(site, f"ALTER TABLE sessions {broken}")
            await caller.refused(caller.client.update(session.id, title=planted["second title"]))
            await caller.refused(caller.client.ask(session.id, planted["prompt lost"]))
            await _execute(site, f"ALTER TABLE sessions {undo}")
        await site.wire.cut()
        await caller.refused(caller.client.ask(session.id, planted["prompt lost"]))
        await caller.refused(caller.client.session(session.id))
        await site.wire.mend()


async def _execute(site: _Site, statement: str) -> None:
    admin = await asyncpg.connect(site.database)
    await admin.execute(statement)
    await admin.close()


async def _shout(site: _Site, planted: Sentinels, count: int, seed: int) -> int:
    """So many calls with hostile ids, traces and names of programs, from peers that keep no rules."""
    choice = random.Random(seed)
    bearer = (b"authorization", f"Bearer {planted['service key']}".encode())
    busy = asyncio.Semaphore(_RAW_AT_ONCE)

    async def one(n: int) -> None:
        value = _hostile(choice, n)
        headers = [bearer, (b"x-correlation-id", value), (b"traceparent", value[:99]), (b"user-agent", value[:99])]
        headers += [(b"x-correlation-id", value[:99])] * (n % 7 == 0) + [(b"x-correlation-id-bin", value[:99])] * (
            n % 5 == 0
        )
        async with busy:
            with suppress(TimeoutError):  # on a machine that is busy with other things
                await raw_call(site.runtime.address, _RPC, headers)

    await asyncio.gather(*(one(n) for n in range(count)))
    return count


_BITS = (
    b"\n",
    b"\r\n",
    b"\x1b[2J",
    b"\x00",
    b"\xff\xfe",
    "я\u202e".encode(),
    b'"},{"event":"rpc"',
    b"\\u0000",
    b"%0a",
    b"\x85",
)


def _hostile(choice: random.Random, n: int) -> bytes:
    """A header's value of up to 15 KiB that means harm."""
    length = 15_000 if n % 50 == 0 else choice.randrange(40)
    return choice.choice(_BITS) + choice.randbytes(length) * (n % 3 == 0) + b"a" * (length * (n % 3 != 0))


async def _search_database(site: _Site, planted: Sentinels) -> None:
    """Secrets are in no table; what people say is in no audit record."""
    admin = await asyncpg.connect(site.database)
    tables = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        rows: list[Any] = await admin.fetch(f'SELECT t::text FROM "{table}" t')
        said = "\n".join(row[0] for row in rows)
        planted.search(f"the table {table}", said, SECRETS + (BODIES if table == "audit_records" else ()))
    await admin.close()
