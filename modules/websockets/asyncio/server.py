"""`from websockets.asyncio.server import serve`, as with Python's `websockets`."""

from ..connection import broadcast
from ..server import Server, ServerConnection
from ..serving import serve

__all__ = ("Server", "ServerConnection", "broadcast", "serve")
