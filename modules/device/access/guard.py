"""What every request must fulfil before its handler is called (access.Access, origin)."""

from httpd import HTTPError

from .origin import same_site

# What anybody may ask for: how to get in, and what tells nothing. Below /static/ are the files of
# the page, which are the same on every device.
_OPEN = ("/health", "/login", "/logout", "/api/session")
_OPEN_BELOW = "/static/"

_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1


class Guard:
    """An `httpd.Server.guard`.

    Args:
        access: the `access.Access`.
    """

    def __init__(self, access):
        self._access = access

    def __call__(self, request):
        # Another site's page may send a request here with what its visitor's browser knows.
        if request.method not in _SAFE and not same_site(request.headers, request.secure):
            raise HTTPError(403, "Origin not allowed")
        path = request.path
        if path in _OPEN or path.startswith(_OPEN_BELOW):
            return None
        access = self._access
        if access.allows(request, request.peer):
            return None
        if not access.has_password:
            raise HTTPError(403, "set a password over the device's own access point first")
        if path == "/":
            from httpd import redirect

            return redirect("/login")
        raise HTTPError(401, "log in first", (("WWW-Authenticate", "Bearer"),))
