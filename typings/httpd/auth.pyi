from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .request import Request

_H = TypeVar("_H", bound=Callable[..., Any])

class _Auth:
    def __init__(self, check: Callable[..., Any], challenge: str) -> None: ...
    def __call__(self, handler: _H) -> _H: ...
    async def require(self, request: Request) -> None: ...

class BasicAuth(_Auth):
    def __init__(
        self, check: Callable[[str, str], Any | Awaitable[Any]], realm: str = "device"
    ) -> None: ...

class TokenAuth(_Auth):
    def __init__(self, check: Callable[[str], Any | Awaitable[Any]]) -> None: ...
