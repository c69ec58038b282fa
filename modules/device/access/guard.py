"""What every request must fulfil before its handler is called (access.Access, origin)."""

import micropython
from httpd import HTTPError

from .origin import same_site

# What anybody may ask for: how to get in, and what tells nothing. Below /static/ are the files of
# the page, which are the same on every device.
_OPEN = ("/health", "/login", "/logout", "/api/session")
_OPEN_BELOW = "/static/"

NOT_OWN = "not a name of this device: ask by its address, or add the name to http/names"

_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1


class Guard:
    """An `httpd.Server.guard`.

    Args:
        access: the `access.Access`.
        config: the `config.Config`.
    """

    def __init__(self, access, config):
        self._access = access
        self._config = config
        self.reread()

    def reread(self):
        """Take note that the settings have changed."""
        self._proxy = self._config.get("http/proxy") or None
        self._known = None  # the last Host that was the device's: clients send the same one

    def owns(self, host):
        """Whether a request with this Host is meant for the device: see `names.is_own`."""
        if host != self._known:
            from ..settings.names import is_own

            if not is_own(host, self._config):
                return False
            self._known = host
        return True

    @micropython.native
    def __call__(self, request):
        if self._proxy is not None and request.peer[0] == self._proxy:
            from .proxy import take_forwarded

            take_forwarded(request)
        host = request.headers.get("host")
        if host != self._known and not self.owns(host):
            if request.path == "/ws":
                raise HTTPError(403, NOT_OWN)
            raise HTTPError(421, NOT_OWN)  # RFC 9110 section 15.5.20
        # Another site's page may send a request here with what its visitor's browser knows.
        if request.method not in _SAFE and not same_site(request.headers, request.secure):
            raise HTTPError(403, "Origin not allowed")
        path = request.path
        if path in _OPEN or path.startswith(_OPEN_BELOW):
            return None
        access = self._access
        right = access.right(request, request.connection.transport.remote_address)
        if right == "admin":
            return None
        if right is not None:
            from .api_tokens import check_right

            check_right(request, right)
            return None
        if access.password is None:
            if path == "/":
                from .closed import closed

                return closed()
            raise HTTPError(403, "set a password over the device's own access point first")
        if path == "/":
            from httpd import redirect

            return redirect("login")
        raise HTTPError(401, "log in first", (("WWW-Authenticate", "Bearer"),))
