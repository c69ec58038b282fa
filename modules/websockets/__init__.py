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
from .datastructures import Headers
from .exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    SecurityError,
    WebSocketException,
)
from .frames import Close
from .http11 import Request, Response
from .protocol import State
from .server import Server, ServerConnection, serve

__all__ = (
    "ClientConnection",
    "Close",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Headers",
    "InvalidHandshake",
    "InvalidMessage",
    "InvalidStatus",
    "InvalidURI",
    "Request",
    "Response",
    "SecurityError",
    "Server",
    "ServerConnection",
    "State",
    "WebSocketException",
    "broadcast",
    "connect",
    "serve",
)
