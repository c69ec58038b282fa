"""A server that uses the names of the API that Python's websockets has."""

import asyncio
import sys

from websockets import NegotiationError, Response, State, serve


async def process(connection, request):
    if request.path == "/refused":
        response = connection.respond(403, "not you\n")
        response.headers["X-Why"] = "because"
        return response
    if request.path == "/moved":
        return Response(302, "Found", (("Location", "/new?x=1"),), b"")
    if request.path == "/broken":
        raise ValueError("this hook fails")
    await asyncio.sleep(0)


def select(connection, subprotocols):
    if "first" in subprotocols:
        return "first"
    if "none" in subprotocols:
        raise NegotiationError("not without")
    if "bad" in subprotocols:
        return "unknown"
    return None


async def handler(websocket):
    host, port = websocket.remote_address
    request = websocket.request
    assert websocket.state == State.OPEN
    await websocket.send([request.path, " "])
    await websocket.send(request.headers.get("X-Test", "none"))
    await websocket.send(f"{host} {port}")
    parts = []
    async for part in websocket.recv_streaming():
        parts.append(part)
    await websocket.send("".join(parts))
    await websocket.wait_closed()
    assert websocket.state == State.CLOSED


async def main():
    async with serve(
        handler,
        "127.0.0.1",
        int(sys.argv[1]),
        process_request=process,
        select_subprotocol=select,
        compression=sys.argv[2] if len(sys.argv) > 2 else None,
    ) as server:
        assert server.is_serving()
        print("serving")
        await server.serve_forever()


asyncio.run(main())
