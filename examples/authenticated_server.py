"""Serves only who shows the token, and greets by path.

usage: authenticated_server.py [PORT] [TOKEN]
"""

import asyncio
import sys

from websockets.asyncio.server import serve

TOKEN = sys.argv[2] if len(sys.argv) > 2 else "let-me-in"


async def authenticate(connection, request):
    if request.headers.get("Authorization") != "Bearer " + TOKEN:
        return connection.respond(401, "a token is needed\n")
    return None


async def greet(websocket):
    await websocket.send("welcome to " + websocket.request.path)


async def main(port):
    async with serve(greet, "127.0.0.1", port, process_request=authenticate) as server:
        print("serving at port", port)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7000))
