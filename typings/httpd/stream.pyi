from typing import Any

from typing_extensions import Buffer

class Stream:
    async def send(self, data: str | Buffer) -> None: ...

class EventStream:
    # Anything but str is sent as JSON.
    async def send(
        self,
        data: Any = "",
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
    ) -> None: ...
