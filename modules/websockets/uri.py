"""WebSocket URIs (RFC 6455 section 3)."""

from binascii import b2a_base64

from http11 import unquote

from .client_exceptions import InvalidURI


class URI:
    """A parsed `ws://` or `wss://` URI.

    Attributes:
        secure: True for wss.
        host: name or address, without brackets.
        port: int.
        authority: what goes into the Host header.
        target: path and query, at least "/".
        authorization: what user and password make of the Authorization header (RFC 7617), None
            without.

    Raises:
        InvalidURI: not such a URI.
    """

    def __init__(self, text):
        scheme, found, rest = text.partition("://")
        scheme = scheme.lower()
        if not found or scheme not in ("ws", "wss"):
            raise InvalidURI(f"{text}: not a ws:// or wss:// URI")
        if "#" in rest:
            raise InvalidURI(f"{text}: a fragment is not allowed")
        for c in text:
            if ord(c) < 33 or ord(c) > 126:
                raise InvalidURI(f"{text!r}: only printable ASCII is allowed")
        self.secure = scheme == "wss"
        cut = min([i for i in (rest.find("/"), rest.find("?")) if i >= 0] or [len(rest)])
        self.authority, self.target = rest[:cut], rest[cut:]
        if not self.target.startswith("/"):
            self.target = "/" + self.target
        self.authorization = None
        user, found, authority = self.authority.rpartition("@")
        if found:
            self.authority = authority
            self.authorization = _basic(user, text)
        host, port = self.authority, ""
        if host.startswith("["):
            host, closed, port = host[1:].partition("]")
            if not closed or (port and not port.startswith(":")):
                raise InvalidURI(f"{text}: malformed address")
            port = port[1:]
        elif ":" in host:
            host, _, port = host.partition(":")
        if not host or (port and not port.isdigit()) or (port and not 0 < int(port) < 65536):
            raise InvalidURI(f"{text}: malformed host or port")
        self.host = host
        self.port = int(port) if port else (443 if self.secure else 80)

    def join(self, location):
        """The URI that a redirect's Location means (RFC 9110 section 10.2.2)."""
        if "://" in location:
            scheme, _, rest = location.partition("://")
            return URI({"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + "://" + rest)
        scheme = "wss" if self.secure else "ws"
        if location.startswith("//"):
            return URI(scheme + ":" + location)
        if not location.startswith("/"):
            path = self.target.split("?")[0]
            location = path[: path.rfind("/") + 1] + location
        return URI(scheme + "://" + self.authority + location)

    def same_origin(self, other):
        """Whether credentials for this URI may be sent to `other`."""
        return (self.secure, self.host, self.port) == (other.secure, other.host, other.port)


def _basic(user_info, text):
    # User and password are percent-encoded (RFC 3986 section 3.2.1); no user has a colon.
    user, found, password = user_info.partition(":")
    if not found:
        raise InvalidURI(f"{text}: a user without a password")
    try:
        user, password = unquote(user), unquote(password)
    except ValueError as error:
        raise InvalidURI(f"{text}: {error}")
    if ":" in user:
        raise InvalidURI(f"{text}: a colon in the user's name")
    credentials = b2a_base64((user + ":" + password).encode()).strip()
    return "Basic " + str(credentials, "utf-8")
