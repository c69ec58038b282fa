from collections.abc import Iterable

from .datastructures import Headers

class Request:
    path: str
    def __init__(self, path: str, fields: dict[str, str]) -> None: ...
    @property
    def headers(self) -> Headers: ...
    def shrink(self, keep: bool) -> None: ...

class Response:
    status_code: int
    reason_phrase: str
    headers: Headers | Iterable[tuple[str, str]]
    body: bytes | str
    def __init__(
        self,
        status_code: int,
        reason_phrase: str = "",
        headers: Headers | Iterable[tuple[str, str]] | None = None,
        body: bytes | str = b"",
    ) -> None: ...
