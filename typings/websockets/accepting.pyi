from typing import Any

from .connection import Connection
from .http11 import Request
from .listen import Server

class ServerConnection(Connection):
    server: Server
    def __init__(
        self,
        transport: Any,
        server: Server,
        request: Request,
        subprotocol: str | None,
        agreed: Any,
    ) -> None: ...
