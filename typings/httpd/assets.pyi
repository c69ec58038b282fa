from collections.abc import Callable

from typing_extensions import Buffer

from .request import Request
from .response import Response

class Asset:
    name: str
    etag: str
    content_type: str
    encoding: str
    size: int
    def __init__(self, record: tuple[str, str, str, str, int, bytes, int, bytes]) -> None: ...
    def __call__(self, request: Request) -> Asset | Response: ...
    def send(
        self, request: Request, write: Callable[[Buffer], object], connection: str | None
    ) -> int: ...

def asset(name: str) -> Asset: ...
