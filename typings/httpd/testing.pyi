from typing import Any

from .server import Server

class Answer:
    status: int
    headers: dict[str, str | list[str]]
    body: bytes
    def __init__(self, data: bytes | bytearray, bare: bool = False) -> None: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...

class TestClient:
    cookies: dict[str, str]
    def __init__(self, server: Server, secure: bool = False) -> None: ...
    async def request(
        self,
        method: str,
        target: str,
        body: bytes | str | dict[str, Any] | list[Any] = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer: ...
    async def get(self, target: str, headers: dict[str, str] | None = None) -> Answer: ...
    async def post(
        self,
        target: str,
        body: bytes | str | dict[str, Any] | list[Any] = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer: ...
