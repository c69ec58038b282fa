from collections.abc import Sequence

from .request import Request
from .response import Response

def file_response(
    request: Request, path: str, headers: Sequence[tuple[str, str]] = ()
) -> Response: ...
