"""Exceptions, named as in Python's `websockets`."""

import lazy

# Those that only a client knows are in a module of their own, which a server doesn't need.
__getattr__ = lazy.loader(
    globals(),
    (
        (
            "client_exceptions",
            ("InvalidHandshake", "InvalidMessage", "InvalidStatus", "InvalidURI", "SecurityError"),
        ),
    ),
    "websockets",
)


class WebSocketException(Exception):
    """Base class."""


class ConcurrencyError(WebSocketException):
    """Two tasks receive from one connection at the same time."""


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
