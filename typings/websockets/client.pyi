from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from transport import _SSLContext
from typing_extensions import Unpack

from .connection import Connection, _Options
from .datastructures import Headers
from .http11 import Request, Response

class ClientConnection(Connection):
    response: Response
    def __init__(
        self,
        transport: Any,
        options: Any,
        request: Request,
        subprotocol: str | None,
        agreed: Any,
        response: Response,
    ) -> None: ...

class connect:
    def __init__(
        self,
        uri: str,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        additional_headers: Headers | Mapping[str, str] | Iterable[tuple[str, str]] = (),
        user_agent_header: str | None = "MicroPython websockets",
        process_exception: Callable[[Exception], Exception | None] = ...,
        reconnect_delays: Callable[[], Iterable[float]] = ...,
        open_timeout: float | None = 10,
        ssl: _SSLContext | None = None,
        server_hostname: str | None = None,
        host: str | None = None,
        port: int | None = None,
        proxy: None = None,
        logger: Any = None,
        **options: Unpack[_Options],
    ) -> None: ...
    def __await__(self) -> Generator[Any, None, ClientConnection]: ...
    async def __aenter__(self) -> ClientConnection: ...
    async def __aexit__(self, *exception: object) -> None: ...
    def __aiter__(self) -> connect: ...
    async def __anext__(self) -> ClientConnection: ...
