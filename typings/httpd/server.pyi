from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar, overload

from transport import Group, Listener, _SSLContext

from .assets import Asset
from .request import Request
from .response import Response, _Body, _Headers, _Piece

MAX_CONNECTIONS: int
MAX_BODY: int

# What a handler returns; a tuple is (body, status) or (body, status, headers).
_Result = (
    None
    | Response
    | Asset
    | _Body
    | tuple[_Body, int]
    | tuple[_Body, _Headers]
    | tuple[_Body, int, _Headers]
)
# Called with the Request and the path's parameters by their names; a generator yields pieces.
_Handler = Callable[..., _Result | Awaitable[_Result] | Iterator[_Piece] | AsyncIterator[_Piece]]
_H = TypeVar("_H", bound=_Handler)

class Server:
    guard: Callable[[Request], _Result] | None
    fallback: Callable[[Request], _Result] | None
    group: Group
    max_body: int
    statuses: dict[int, int]
    listeners: list[Listener]
    def __init__(self, group: Group | None = None, max_body: int = ...) -> None: ...
    @overload
    def route(
        self, path: str | bytes, handler: None = None, methods: tuple[str, ...] = ("GET",)
    ) -> Callable[[_H], _H]: ...
    @overload
    def route(self, path: str | bytes, handler: _H, methods: tuple[str, ...] = ("GET",)) -> _H: ...
    def get(self, path: str | bytes) -> Callable[[_H], _H]: ...
    def post(self, path: str | bytes) -> Callable[[_H], _H]: ...
    def routes(
        self,
        table: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...],
        context: Any,
    ) -> None: ...
    def listen(self, host: str, port: int, ssl: _SSLContext | None = None) -> Listener: ...
    def close(self) -> None: ...
    def dispatch(self, request: Request) -> _Result | Awaitable[_Result]: ...
