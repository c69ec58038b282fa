from collections.abc import Callable
from typing import Any, Protocol

# What the signatures of httpd and websockets mention.

class _SSLContext(Protocol):
    # tls.SSLContext of MicroPython, and CPython's.
    def wrap_socket(
        self,
        sock: Any,
        *,
        server_side: bool = ...,
        do_handshake_on_connect: bool = ...,
        server_hostname: str | None = ...,
    ) -> Any: ...

class ConnectionLost(OSError): ...
class AddressError(OSError): ...

class Connection:
    secure: bool
    over: bool
    queued: int
    events: int
    group: Group | None
    remote_address: tuple[str, int] | None
    def set_timeout(self, ms: int | None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    async def drained(self) -> None: ...
    def close(self) -> None: ...
    def abort(self, error: Exception | None = None) -> None: ...

class Group:
    limit: int
    secure_limit: int | None
    kept: int
    connections: list[Connection]
    accepted: int
    refused: int
    own: Callable[[tuple[str, int]], bool | None] | None
    evicted: int
    def __init__(self, limit: int, secure_limit: int | None = None, kept: int = 0) -> None: ...
    def remove(self, connection: Connection) -> None: ...
    def may_last(self, host: str | None = None) -> bool: ...

class Listener:
    group: Group
    sock: Any
    def __init__(
        self,
        host: str,
        port: int,
        protocol_factory: Callable[[Connection], object],
        group: Group,
        backlog: int = ...,
        ssl: _SSLContext | None = None,
    ) -> None: ...
    def close(self) -> None: ...
