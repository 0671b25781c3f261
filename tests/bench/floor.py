"""The floor under every figure of a stream: the least that could do the same transport, as a process of its own.

It reads the scripted model with the HTTP client that the server uses and forwards each chunk as it comes. It stores
nothing, checks nothing and parses nothing. Its unary method returns a constant.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import aiohttp
import grpc
import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport

STREAM = "/bench.Floor/Stream"
UNARY = "/bench.Floor/Unary"

Context = grpc.aio.ServicerContext[bytes, bytes]


async def serve(model_url: str) -> None:
    """Prints the address once calls are served; ends on SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    def new_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000), cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(trust_env=False, client=new_session)
    async with httpx.AsyncClient(transport=transport, timeout=None, trust_env=False) as http:

        async def stream(words: bytes, context: Context) -> None:
            body = {"model": "floor", "stream": True, "messages": [{"role": "user", "content": words.decode()}]}
            async with http.stream("POST", f"{model_url}/chat/completions", content=json.dumps(body)) as response:
                async for chunk in response.aiter_raw():
                    await context.write(chunk)

        async def unary(_: bytes, context: Context) -> bytes:
            return b"constant"

        server = grpc.aio.server()
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Stream": grpc.unary_stream_rpc_method_handler(stream),
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Floor", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"127.0.0.1:{port}", flush=True)
        await stopped.wait()
        await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
