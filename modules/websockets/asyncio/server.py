"""`from websockets.asyncio.server import serve`, as with Python's `websockets`."""

from ..accepting import ServerConnection
from ..connection import broadcast
from ..listen import Server
from ..serving import serve

__all__ = ("Server", "ServerConnection", "broadcast", "serve")
