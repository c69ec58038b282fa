"""The exceptions of the opening handshake; users take them from `websockets.exceptions`."""

from .exceptions import WebSocketException


class InvalidURI(WebSocketException):
    """A URI that `connect` can't use."""


class InvalidHandshake(WebSocketException):
    """The opening handshake failed."""


class InvalidMessage(InvalidHandshake):
    """The server didn't answer in HTTP."""


class SecurityError(InvalidHandshake):
    """Going on would break a security rule."""


class NegotiationError(InvalidHandshake):
    """A server chose what wasn't offered; `select_subprotocol` raises it to refuse with 400."""


class InvalidStatus(InvalidHandshake):
    """The server answered with something else than 101.

    Attributes:
        response: the `http11.Response`, without its body.
    """

    def __init__(self, response):
        super().__init__(f"server rejected WebSocket connection: HTTP {response.status_code}")
        self.response = response
