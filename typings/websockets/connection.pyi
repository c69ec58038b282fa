from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any, Literal, TypedDict, overload

from typing_extensions import Buffer

from .http11 import Request

# Seconds, None for never; bytes, None for no limit.
class _Options(TypedDict, total=False):
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float | None
    max_size: int | None
    max_queue: int | None
    write_limit: int | None
    compression: Literal["deflate"] | None

_Piece = str | Buffer

class Connection:
    request: Request
    subprotocol: str | None
    latency: float
    dropped: int
    def __init__(
        self,
        transport: Any,
        options: Any,
        request: Request,
        subprotocol: str | None,
        deflate: Any,
        is_client: bool,
    ) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def state(self) -> int: ...
    @property
    def remote_address(self) -> tuple[str, int] | None: ...
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str | None: ...
    @overload
    async def recv(self, decode: None = None) -> str | bytearray: ...
    @overload
    async def recv(self, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, decode: Literal[False]) -> bytes | bytearray: ...
    def __aiter__(self) -> Connection: ...
    async def __anext__(self) -> str | bytearray: ...
    @overload
    def recv_streaming(self, decode: None = None) -> AsyncIterator[str | bytearray]: ...
    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes | bytearray]: ...
    async def send(
        self,
        message: _Piece | Iterable[_Piece] | AsyncIterator[_Piece],
        text: bool | None = None,
    ) -> None: ...
    async def ping(self, data: str | bytes | None = None) -> Awaitable[float]: ...
    async def pong(self, data: str | bytes = b"") -> None: ...
    async def close(self, code: int = ..., reason: str = "") -> None: ...
    def start_closing(self, code: int = ..., reason: str = "") -> None: ...
    async def wait_closed(self) -> None: ...

def broadcast(
    connections: Iterable[Connection],
    message: str | bytes | bytearray | memoryview,
    text: bool | None = None,
) -> None: ...
