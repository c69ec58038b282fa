from collections.abc import Sequence

class HTTPError(Exception):
    status: int
    detail: str
    headers: Sequence[tuple[str, str]]
    def __init__(
        self, status: int = 400, detail: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None: ...
