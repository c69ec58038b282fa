"""Where the tokens of sessions travel: in cookies, or for programs in `Authorization: Bearer`."""

# Over TLS the cookie has a name of its own: browsers don't let a page without TLS replace one that
# is Secure (RFC 6265bis section 5.7), so nobody could log in there any more. The prefix keeps
# others from setting it (section 4.1.3.2).
COOKIE = "session"
SECURE_COOKIE = "__Host-session"

# Tokens of one request that are looked at: a browser may have a few of neighbouring ports.
MAX_TOKENS = 8

# What an API token begins with: it says what it is where it is found.
PREFIX = "websock_"


def bearer(headers):
    """The token in Authorization (RFC 6750 section 2.1), "" for none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def tokens_of(headers):
    """The session tokens in a request's fields: that in Authorization, and the cookies.

    Whatever else is in Authorization is for somebody on the way, such as a proxy. Cookies don't
    tell ports apart (RFC 6265 section 8.5), their names do: see `cookie_name`.
    """
    tokens = []
    token = bearer(headers)
    if token:
        tokens.append(token)
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.partition("=")
        if name.strip().startswith((COOKIE, SECURE_COOKIE)):
            tokens.append(value.strip())
    return tokens[:MAX_TOKENS]


def cookie_name(secure, host):
    """The name of the cookie for a session that begins with a request.

    Several devices may be behind one address, each at its own port.

    Args:
        secure: it came over TLS.
        host: its Host field, or None.
    """
    name = SECURE_COOKIE if secure else COOKIE
    port = "" if host is None or host.endswith("]") else host.rpartition(":")[2]
    return f"{name}-{port}" if port.isdigit() and port != host else name
