"""Row 13: requests that no honest client sends, at a server of its own: it knows every one of them for what it is."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import psutil

from devtools.local_postgres import local_postgres
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, scripted_model_process
from tests.faults.harness.hostile_wire import SHAPES, send_shape
from tests.faults.harness.verdict import BUILD, Measure, Verdict
from tests.support.belongings import USES, Use, waiting
from tests.support.odd_requests import OddRequests
from tests.support.rpcs import OFFERED, RPCS, Rpc
from tests.support.runtime_client import RuntimeClient
from tests.support.unlimited import UNLIMITED
from tests.support.waiting import eventually

ROW = 13
REDUCED, FULL = 1_500, 100_000
_WORKERS = 16
_RENEWED_AFTER = 100
_WARM = 0.2
_ODD_METADATA, _NO_RPC, _RAW, _BOMB = 0.1, 0.01, 0.03, 0.0005
_BOMB_BYTES = 32 << 20
_STREAM_SECONDS = 0.2
_PATIENCE = 20.0
# A pool may have grown by then.
_SPARE_FDS = 3
_ALLOWED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
}
_Metadata = tuple[tuple[str, str | bytes], ...]
_USES: dict[str, list[Use]] = {
    rpc.name: [use for use in USES.values() if use.rpc.name == rpc.name] for rpc in RPCS if rpc.name in OFFERED
}
_SETTINGS = {"RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000"} | UNLIMITED


@dataclass
class Tally:
    """What came back so far, and in words what should not have."""

    codes: Counter[grpc.StatusCode] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def take(self, rpc: Rpc, data: bytes, code: grpc.StatusCode, details: str) -> None:
        """One answer."""
        self.codes[code] += 1
        if code not in _ALLOWED:
            self.violations.append(f"{rpc.name} answered {code.name} ({details[:200]}) to {data[:2000].hex()}")


@dataclass(frozen=True)
class Footing:
    """What the process holds while nobody is connected."""

    rss: float
    fds: int
    threads: int


async def run(requests: int, seed: int) -> Verdict:
    """Sends so many requests; what each of them is depends on the seed alone, what it meets on the others."""
    tally = Tally()
    async with (
        local_postgres() as postgres,
        scripted_model_process() as model,
        RuntimeProcess(postgres.url, model.url, _SETTINGS) as runtime,
    ):
        process = psutil.Process(runtime.pid)
        warm_up = int(requests * _WARM)
        numbers = iter(range(requests))
        await _sent(runtime.address, model, itertools.islice(numbers, warm_up), seed, tally)
        before = await _footing(process, None)
        await _sent(runtime.address, model, numbers, seed, tally)
        after = await _footing(process, before)
        tally.violations += await _health(runtime)
    return Verdict(
        ROW,
        seed,
        (
            Measure("requests", sum(tally.sent.values()), at_least=requests),
            Measure("odd_metadata", tally.sent["metadata"]),
            Measure("raw", tally.sent["raw"], at_least=1),
            Measure("bombs", tally.sent["bomb"]),
            Measure("refused_share", 1 - tally.codes[grpc.StatusCode.OK] / max(1, tally.codes.total())),
            Measure("codes", len(tally.codes), at_least=6),
            Measure("unknown", tally.codes[grpc.StatusCode.UNKNOWN], at_most=0, at_least=0),
            Measure("internal", tally.codes[grpc.StatusCode.INTERNAL], at_most=0, at_least=0),
            Measure("rss_growth_mb", after.rss - before.rss, at_most=50.0),
            Measure("fds_growth", after.fds - before.fds, at_most=_SPARE_FDS),
            Measure("threads_growth", after.threads - before.threads, at_most=4),
        ),
        tuple(tally.violations),
        _saved(tally, seed) if tally.violations else None,
    )


async def _sent(address: str, model: ScriptedModel, numbers: Iterator[int], seed: int, tally: Tally) -> None:
    async with _channels(address) as channels:
        workers = [_work(address, channels[n % len(channels)], model, numbers, seed, tally) for n in range(_WORKERS)]
        await asyncio.gather(*workers)


@asynccontextmanager
async def _channels(address: str) -> AsyncIterator[list[grpc.aio.Channel]]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(4)]
    try:
        yield channels
    finally:
        for channel in channels:
            await channel.close()


async def _work(
    address: str, channel: grpc.aio.Channel, model: ScriptedModel, numbers: Iterator[int], seed: int, tally: Tally
) -> None:
    """Takes numbers until there are none. Each owner has things to lose, and does not live long."""
    client = RuntimeClient(channel)
    ids = await waiting(client, model)
    for turn, number in enumerate(numbers, 1):
        if turn % _RENEWED_AFTER == 0:
            client = RuntimeClient(channel)
            ids = await waiting(client, model)
        rng = Random(f"{seed} {number}")
        rpc = rng.choice(RPCS)
        if rng.random() < _RAW:
            tally.sent["raw"] += 1
            await send_shape(address, rng.choice(SHAPES), rpc.path, rng)
            continue
        good = rng.choice(_USES[rpc.name]).request(ids) if rpc.name in _USES else None
        data = OddRequests(rng, sorted(ids.ids)).bytes_for(rpc, good)
        metadata: _Metadata = client.metadata
        compression = grpc.Compression.NoCompression
        kind = "plain"
        if rng.random() < _ODD_METADATA:
            kind, metadata = "metadata", _odd_metadata(rng, client.metadata)
        if rng.random() < _NO_RPC:
            rpc = Rpc("nobody", rng.choice(("/x", "/a/b/c", rpc.path + "x", "/grpc.reflection/X")), rpc.request, False)
        if rng.random() < _BOMB:
            kind, data, compression = "bomb", bytes(_BOMB_BYTES), grpc.Compression.Gzip
        tally.sent[kind] += 1
        code, details = await _answer(channel, rpc, data, metadata, compression)
        tally.take(rpc, data, code, details)


async def _answer(
    channel: grpc.aio.Channel, rpc: Rpc, data: bytes, metadata: Any, compression: grpc.Compression
) -> tuple[grpc.StatusCode, str]:
    """How the call ended. A stream that is well is left after a while."""
    options = {"metadata": metadata, "timeout": _PATIENCE, "compression": compression}
    if not rpc.streaming:
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(rpc.path)
        call: Any = unary(data, **options)
        return await call.code(), await call.details() or ""
    multi: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(rpc.path)
    call = multi(data, **options)
    try:
        async with asyncio.timeout(_STREAM_SECONDS):
            async for _ in call:
                pass
    except TimeoutError:
        call.cancel()
        return grpc.StatusCode.OK, ""
    except grpc.aio.AioRpcError:
        pass
    return await call.code(), await call.details() or ""


def _odd_metadata(rng: Random, metadata: _Metadata) -> _Metadata:
    """What a gRPC library lets out and no honest caller means."""
    values = ("", " ", "x" * 70, "x" * 5000, "a b", "=,;", "%00%0a", "'; DROP TABLE sessions", "../..", "~" * 65, "0")
    value = rng.choice(values)
    odd: tuple[_Metadata, ...] = (
        (("x-owner-id", value),),
        (*metadata, ("x-owner-id", "another")),
        (*metadata, ("x-correlation-id", value), ("x-correlation-id", "two")),
        (*metadata, ("traceparent", value)),
        (*metadata, ("authorization", "Bearer " + value)),
        (*metadata, ("authorization", value), ("authorization", "Basic eA==")),
        (*metadata, ("x-correlation-id-bin", rng.randbytes(40)), ("grpc-trace-bin", rng.randbytes(9))),
        (*metadata, *((f"x-many-{n}", value[:100]) for n in range(80))),
        (*metadata, ("x-large", "y" * rng.choice((12_000, 20_000)))),
        (*metadata, ("x-odd", value), ("grpc-previous-rpc-attempts", value[:5] or "1")),
    )
    return rng.choice(odd)


async def _footing(process: psutil.Process, wanted: Footing | None) -> Footing:
    """What the process holds, once it holds no more than wanted or has had time enough to let go."""
    if wanted is not None:
        with suppress(TimeoutError):  # the measures say so
            await eventually(lambda: process.num_fds() <= wanted.fds + _SPARE_FDS, within=_PATIENCE)
    else:
        await asyncio.sleep(1)
    return Footing(process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())


async def _health(runtime: RuntimeProcess) -> list[str]:
    """What is wrong with the server afterwards, in words."""
    complaints = []
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        try:
            session = await RuntimeClient(channel).new_session(agent="universal")
            if not session.id:
                complaints.append("a new session has no id")
        except grpc.aio.AioRpcError as error:
            complaints.append(f"the server serves no longer: {error.code().name}")
    lines = runtime.log.read_text(encoding="utf-8", errors="replace").splitlines()
    bad = ('"level":"error"', "Traceback", '"code":"INTERNAL"', '"code":"UNKNOWN"', "never retrieved", "was destroyed")
    complaints += [f"the log says: {line[:2000]}" for line in lines if any(mark in line for mark in bad)]
    return complaints


def _saved(tally: Tally, seed: int) -> Path:
    path = BUILD / f"row_13_{seed}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([str(dict(tally.codes)), *tally.violations]), encoding="utf-8")
    return path
