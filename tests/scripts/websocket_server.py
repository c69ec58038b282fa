"""A WebSocket server that echoes, and tells what it has seen."""

import asyncio
import json
import sys

from websockets import ConnectionClosed, serve


async def handler(websocket):
    if websocket.request.path.startswith("/close/"):
        code = int(websocket.request.path.split("/")[2])
        await websocket.close(code, "as asked")
    elif websocket.request.path == "/raise":
        raise ValueError("this handler fails")
    elif websocket.request.path == "/fragments":
        async for message in websocket:
            step = 4096
            await websocket.send([message[i : i + step] for i in range(0, len(message), step)])
    elif websocket.request.path == "/ping":
        waiter = await websocket.ping(b"are you there")
        await waiter
        await websocket.send("pong arrived")
    else:
        try:
            async for message in websocket:
                await websocket.send(message)
        except ConnectionClosed:
            pass
    await websocket.wait_closed()
    print("closed", websocket.close_code, websocket.close_reason)


async def main():
    options = json.loads(sys.argv[2])
    async with serve(handler, "127.0.0.1", int(sys.argv[1]), **options) as server:
        print("serving")
        await server.serve_forever()


asyncio.run(main())
