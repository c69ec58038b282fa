from collections.abc import Sequence

from .application import Application

class CORS:
    def __init__(
        self,
        server: Application,
        origins: str | Sequence[str],
        methods: Sequence[str] = ("PUT", "PATCH", "DELETE"),
        headers: Sequence[str] = ("Content-Type", "Authorization"),
        expose: Sequence[str] = (),
        credentials: bool = False,
        max_age: int = 600,
    ) -> None: ...
