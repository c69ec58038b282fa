from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import Buffer

_Body = str | Buffer | dict[Any, Any] | list[Any] | Iterator[Buffer]

class Response:
    status: int
    content_type: str
    headers: Sequence[tuple[str, str]]
    pieces: bool
    body: str | Buffer | Iterator[Buffer]
    length: int | None
    def __init__(
        self,
        body: _Body = b"",
        status: int = 200,
        content_type: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
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
