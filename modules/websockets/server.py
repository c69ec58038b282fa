"""`from websockets.server import serve`, for those who look for it here."""

from .accepting import ServerConnection
from .listen import Server
from .serving import serve

__all__ = ("Server", "ServerConnection", "serve")
