"""WebSocket server and client (RFC 6455), with the asyncio API of Python's `websockets`.

from websockets import serve

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def main():
    async with serve(echo, "0.0.0.0", 7777) as server:
        await server.serve_forever()
"""

import lazy

# Literals, which stay in flash.
__getattr__ = lazy.loader(
    globals(),
    (
        ("accepting", ("ServerConnection",)),
        ("client", ("ClientConnection", "connect")),
        (
            "client_exceptions",
            (
                "InvalidHandshake",
                "InvalidMessage",
                "InvalidStatus",
                "InvalidURI",
                "NegotiationError",
                "SecurityError",
            ),
        ),
        ("codes", ("CloseCode", "Opcode")),
        ("connection", ("broadcast",)),
        ("datastructures", ("Headers",)),
        ("deflate", ()),
        (
            "exceptions",
            (
                "ConcurrencyError",
                "ConnectionClosed",
                "ConnectionClosedError",
                "ConnectionClosedOK",
                "WebSocketException",
            ),
        ),
        ("frames", ("Close",)),
        ("handshake", ()),
        ("http11", ("Request", "Response")),
        ("listen", ("Server",)),
        ("opening", ()),
        ("options", ()),
        ("protocol", ("State",)),
        ("server", ()),
        ("serving", ("serve",)),
        ("uri", ()),
        ("version", ("__version__",)),
    ),
)
