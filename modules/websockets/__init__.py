"""WebSocket server and client (RFC 6455), with the asyncio API of Python's `websockets`.

    from websockets import serve

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async def main():
        async with serve(echo, "0.0.0.0", 7777) as server:
            await server.serve_forever()
"""

from .client import ClientConnection, connect
from .connection import broadcast
from .exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from .frames import Close
from .server import Server, ServerConnection, serve

__all__ = (
    "ClientConnection",
    "Close",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "Server",
    "ServerConnection",
    "WebSocketException",
    "broadcast",
    "connect",
    "serve",
)
