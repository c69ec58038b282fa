"""Which pages a request may come from (RFC 6454, RFC 6455 section 10.2)."""


def same_origin(origin, host, secure=False):
    """Whether a request comes from a page of this server (RFC 6455 section 10.2).

    Who sends no Origin isn't a browser.

    Args:
        origin: the Origin header or None.
        host: the Host header or None.
        secure: the request came over TLS; then the page must have too, as anybody on the way can
            make one that didn't. Without TLS the scheme isn't compared: a proxy may add it.
    """
    if origin is None:
        return True
    scheme, authority = _split(origin)
    if secure and scheme != "https":
        return False
    return authority is not None and authority == _without_port(scheme, (host or "").lower())


def secure_origin(origin, host):
    """`same_origin` of a request over TLS."""
    return same_origin(origin, host, True)


def same_host(origin, host):
    """`same_origin` for the WebSocket port, which the page on another port of this host uses."""
    return origin is None or _name(_split(origin)[1]) == _name((host or "").lower())


def same_site(headers, secure=False):
    """Whether a request that changes something may do so: not when another site's page sent it.

    Browsers send Origin with every such request; those that are too old send Referer. Where both
    are missing, Sec-Fetch-Site (W3C Fetch Metadata) still tells of a browser.
    """
    host = headers.get("host")
    origin = headers.get("origin")
    if origin is None:
        origin = headers.get("referer")
        if origin is not None:
            scheme, _, rest = origin.partition("://")
            origin = scheme + "://" + rest.split("/", 1)[0]
    if origin is not None:
        return same_origin(origin, host, secure)
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _split(origin):
    scheme, _, authority = origin.lower().partition("://")
    return scheme, _without_port(scheme, authority) or None


def _without_port(scheme, authority):
    # Browsers leave out the scheme's default port, other clients may write it.
    for name, port in (("http", ":80"), ("https", ":443")):
        if scheme == name and authority.endswith(port):
            return authority[: -len(port)]
    return authority


def _name(authority):
    if not authority:
        return authority
    if authority.startswith("["):
        return authority.partition("]")[0]
    return authority.partition(":")[0]
