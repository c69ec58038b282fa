"""`from websockets.asyncio.client import connect`, as with Python's `websockets`."""

from ..client import ClientConnection, connect

__all__ = ("ClientConnection", "connect")
