from collections.abc import Generator
from typing import Any

from transport import _SSLContext
from typing_extensions import Unpack

from .listen import Server, _Handler, _ServerOptions

class serve:
    def __init__(
        self,
        handler: _Handler,
        host: str | None = None,
        port: int | None = None,
        ssl: _SSLContext | None = None,
        **options: Unpack[_ServerOptions],
    ) -> None: ...
    def __await__(self) -> Generator[Any, None, Server]: ...
    async def __aenter__(self) -> Server: ...
    async def __aexit__(self, *exception: object) -> None: ...
