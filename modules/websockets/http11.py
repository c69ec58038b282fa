"""The opening handshake's messages, where Python's `websockets` has them."""

from .request import Request
from .response import Response

__all__ = ("Request", "Response")
