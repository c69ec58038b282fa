from collections.abc import Callable, Sequence
from typing import Any

from transport import Connection

from .multipart import Form
from .stream import EventStream, Stream

class Request:
    method: str
    target: str
    path: str
    headers: dict[str, str]
    minor: int
    begun: bool
    peer: tuple[str, int] | None
    end: int
    def __init__(
        self,
        method: str,
        target: str,
        minor: int,
        headers: dict[str, str],
        end: int,
    ) -> None: ...
    @property
    def query(self) -> dict[str, str]: ...
    @property
    def secure(self) -> bool: ...
    @property
    def length(self) -> int | None: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    async def read(self, limit: int | None = None) -> bytearray: ...
    def __aiter__(self) -> Request: ...
    # A piece is valid until the next one is asked for.
    async def __anext__(self) -> memoryview: ...
    async def json(self, limit: int | None = None) -> Any: ...
    async def form(self, limit: int | None = None) -> dict[str, str]: ...
    def parts(self) -> Form: ...
    async def save(
        self, path: str, limit: int, check: Callable[[], object] | None = None
    ) -> tuple[int, bool]: ...
    async def stream(
        self,
        status: int = 200,
        content_type: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Stream: ...
    async def events(self, headers: Sequence[tuple[str, str]] = ()) -> EventStream: ...
    def upgrade(self, response: bytes, protocol: Callable[[Connection], object]) -> None: ...
