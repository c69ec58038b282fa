"""Exceptions, named as in Python's `websockets`."""


class WebSocketException(Exception):
    """Base class."""


class ConcurrencyError(WebSocketException):
    """Two tasks receive from one connection at the same time."""


class InvalidURI(WebSocketException):
    """A URI that `connect` can't use."""


class InvalidHandshake(WebSocketException):
    """The opening handshake failed."""


class InvalidMessage(InvalidHandshake):
    """The server didn't answer in HTTP."""


class SecurityError(InvalidHandshake):
    """Going on would break a security rule."""


class InvalidStatus(InvalidHandshake):
    """The server answered with something else than 101.

    Attributes:
        response: the `http11.Response`, without its body.
    """

    def __init__(self, response):
        super().__init__(
            "server rejected WebSocket connection: HTTP {}".format(response.status_code)
        )
        self.response = response


class ConnectionClosed(WebSocketException):
    """The connection is closed.

    Attributes:
        rcvd, sent: the `Close` that was received or sent, None when there was none.
    """

    def __init__(self, rcvd, sent):
        super().__init__("received {}, sent {}".format(rcvd or "no close", sent or "no close"))
        self.rcvd = rcvd
        self.sent = sent


class ConnectionClosedOK(ConnectionClosed):
    """Closed in order, with 1000 or 1001 or without a code on both sides."""


class ConnectionClosedError(ConnectionClosed):
    """Closed with an error, or lost."""
