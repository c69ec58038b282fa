"""What a reverse proxy in front says of the requests that it passes on (http/proxy)."""


def take_forwarded(request):
    """Put the host that was asked for, and the address that asked, in place of the proxy's.

    Args:
        request: the `httpd` request; `client` becomes the address.
    """
    headers = request.headers
    if "x-forwarded-host" in headers:
        headers["host"] = headers["x-forwarded-host"].rpartition(",")[2].strip()
    if "x-forwarded-for" in headers:
        # Its last one: the client may have begun the list.
        request.client = headers["x-forwarded-for"].rpartition(",")[2].strip()
