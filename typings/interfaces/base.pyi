from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

QUEUE_LIMIT: int
MESSAGE_LIMIT: int
TITLE_LIMIT: int
RETRY_FIRST_S: int
RETRY_LAST_S: int
SOUND_S: int

class Interface:
    type: str
    title: str
    # Rows of name, kind, least, most, default and help; `...` for a default: it has to be given.
    OPTIONS: ClassVar[tuple[tuple[str, str, Any, Any, Any, str], ...]]
    # Rows of key, unit, decimals, least and most.
    VALUES: ClassVar[tuple[tuple[str, str, int, float | None, float | None], ...]]
    takes_messages: bool | None
    message_help: str
    fresh_s: int | None
    holds: bool
    usable: bool
    name: str
    options: dict[str, Any]
    running: bool
    starts: bool
    # Of interfaces.history, by key.
    histories: dict[str, Any] | None
    recent: Sequence[Any]
    def __init__(
        self,
        name: str,
        emit: Callable[[str, Any], object],
        title: str | None = None,
        start: bool = True,
        **options: Any,
    ) -> None: ...
    @property
    def idle(self) -> bool: ...
    async def run(self) -> None: ...
    def prepare(self) -> None: ...
    def check(self, text: str) -> None: ...
    def connection(self) -> str: ...
    def claims(self) -> Iterator[tuple[str, str, int]]: ...
    def values(self) -> Sequence[tuple[str, str, int, float | None, float | None]]: ...
    # The value must be what JSON can hold.
    def emit(self, key: str, value: Any) -> None: ...
    async def message(self) -> str: ...
    def send(self, text: str) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def look(self) -> None: ...
    def refresh(self) -> None: ...
    def forget(self) -> None: ...
