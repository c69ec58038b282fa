from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import httpd
from transport import Group, Listener, _SSLContext
from typing_extensions import Unpack

from .accepting import ServerConnection
from .connection import _Options
from .http11 import Request, Response

# What there is of a connection before it is accepted.
class _Proposed(Protocol):
    request: Request
    remote_address: tuple[str, int] | None
    def respond(self, status: int, text: str) -> Response: ...

_Handler = Callable[[ServerConnection], Awaitable[object]]
# Allowed origins, None for a client that sends none; or a function of (origin, host).
_Origins = Sequence[str | None] | Callable[[str | None, str | None], bool]
_SelectSubprotocol = Callable[[_Proposed, Sequence[str]], str | None]
_ProcessRequest = Callable[[_Proposed, Request], Response | Awaitable[Response | None] | None]

# What `serve` passes on to `Server`.
class _ServerOptions(_Options, total=False):
    group: Group | None
    origins: _Origins | None
    subprotocols: Sequence[str] | None
    select_subprotocol: _SelectSubprotocol | None
    process_request: _ProcessRequest | None
    open_timeout: float | None
    keep_headers: bool
    logger: Any

class Server:
    connections: set[ServerConnection]
    closes: dict[int, int]
    group: Group
    # Milliseconds.
    open_timeout: int | None
    listeners: list[Listener]
    logger: Any
    def __init__(
        self,
        handler: _Handler,
        group: Group | None = None,
        origins: _Origins | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: _SelectSubprotocol | None = None,
        process_request: _ProcessRequest | None = None,
        open_timeout: float | None = 10,
        keep_headers: bool = True,
        logger: Any = None,
        **options: Unpack[_Options],
    ) -> None: ...
    def listen(self, host: str, port: int, ssl: _SSLContext | None = None) -> Listener: ...
    def upgrade(
        self, request: httpd.Request, origins: _Origins | None = None
    ) -> tuple[str, int, Sequence[tuple[str, str]]] | None: ...
    def is_serving(self) -> bool: ...
    def close(self, close_connections: bool = True, code: int = ..., reason: str = "") -> None: ...
    async def wait_closed(self) -> None: ...
    async def serve_forever(self) -> None: ...
    async def __aenter__(self) -> Server: ...
    async def __aexit__(self, *exception: object) -> None: ...
