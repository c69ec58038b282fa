from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from typing_extensions import Buffer

_Piece = str | Buffer
_Body = str | Buffer | dict[Any, Any] | list[Any] | Iterator[_Piece] | AsyncIterator[_Piece]
_Headers = dict[str, str] | Sequence[tuple[str, str]]

class Response:
    status: int
    content_type: str
    headers: Sequence[tuple[str, str]]
    pieces: bool
    body: str | Buffer | Iterator[_Piece] | AsyncIterator[_Piece]
    length: int | None
    def __init__(
        self,
        body: _Body = b"",
        status: int = 200,
        content_type: str | None = None,
        headers: _Headers = (),
        length: int | None = None,
    ) -> None: ...
    def set_cookie(
        self,
        name: str,
        value: str,
        max_age: int | None = None,
        path: str = "/",
        secure: bool = False,
    ) -> None: ...
    def head(self, connection: str | None = None, chunked: bool = False) -> bytes: ...

def redirect(location: str, status: int = 303) -> Response: ...
