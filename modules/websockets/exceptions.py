"""Exceptions, named as in Python's `websockets`."""

import lazy

# Those of the opening handshake are in a module of their own, which a server hardly needs.
__getattr__ = lazy.loader(
    globals(),
    (
        (
            "exceptions",
            (
                "ConcurrencyError",
                "ConnectionClosed",
                "ConnectionClosedError",
                "ConnectionClosedOK",
                "WebSocketException",
            ),
        ),
        (
            "client_exceptions",
            (
                "InvalidHandshake",
                "InvalidMessage",
                "InvalidStatus",
                "InvalidURI",
                "NegotiationError",
                "SecurityError",
            ),
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
        rcvd_then_sent: whether the peer's was the first of the two; None unless there are both.
    """

    def __init__(self, rcvd, sent, rcvd_then_sent=None):
        super().__init__(rcvd, sent, rcvd_then_sent)
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    def __str__(self):
        rcvd, sent = self.rcvd, self.sent
        if rcvd is None and sent is None:
            return "no close frame received or sent"
        if rcvd is None:
            return f"sent {sent}; no close frame received"
        if sent is None:
            return f"received {rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {rcvd}; then sent {sent}"
        return f"sent {sent}; then received {rcvd}"


class ConnectionClosedOK(ConnectionClosed):
    """Closed in order, with 1000 or 1001 or without a code on both sides."""


class ConnectionClosedError(ConnectionClosed):
    """Closed with an error, or lost."""
