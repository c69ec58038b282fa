"""The routes for logging in and out, and what every request must fulfil (auth.Access)."""

from httpd import HTTPError, Response, redirect

from .auth import COOKIE, SESSION_SECONDS
from .origin import same_site

# What anybody may ask for: how to get in, and what tells nothing. Below /static/ are the files of
# the page, which are the same on every device.
_OPEN = ("/health", "/login", "/logout", "/api/session")
_OPEN_BELOW = "/static/"

_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1

_NO_STORE = (("Cache-Control", "no-store"),)


class Guard:
    """An `httpd.Server.guard`.

    Args:
        access: the `auth.Access`.

    Attributes:
        open: paths that need no session; a portal adds its own.
    """

    def __init__(self, access):
        self._access = access
        self.open = set(_OPEN)

    def __call__(self, request):
        # Another site's page may send a request here with what its visitor's browser knows.
        if request.method not in _SAFE and not same_site(request.headers):
            raise HTTPError(403, "Origin not allowed")
        path = request.path
        if path in self.open or path.startswith(_OPEN_BELOW):
            return None
        access = self._access
        if access.allows(request.headers, request.peer):
            return None
        if not access.has_password:
            raise HTTPError(403, "set a password over the device's own access point first")
        if path == "/":
            return redirect("/login")
        raise HTTPError(401, "log in first", (("WWW-Authenticate", "Bearer"),))


def add_routes(server, access):
    """Add /login (POST), /logout, /password and /api/session to an `httpd.Server`."""

    @server.get("/api/session")
    def session(request):
        return Response(
            {
                "password": access.has_password,
                "authenticated": access.allows(request.headers, request.peer),
            },
            headers=_NO_STORE,
        )

    @server.post("/login")
    async def login(request):
        fields = await _fields(request)
        if not access.has_password:
            raise HTTPError(409, "no password is set")
        await access.verify(_text(fields, "password"), request.peer)
        return _logged_in(request, access.sessions.create())

    @server.post("/password")
    async def password(request):
        fields = await _fields(request)
        new = _text(fields, "new")
        if access.has_password:
            # A session alone isn't enough: it may be a browser that somebody left open.
            await access.verify(_text(fields, "current"), request.peer)
        await access.set_password(new)
        return _logged_in(request, access.sessions.create())

    @server.post("/logout")
    def logout(request):
        access.log_out(request.headers)
        response = redirect("/login")
        response.set_cookie(COOKIE, "", 0)
        return response


def _wants_json(request):
    return request.headers.get("content-type", "").startswith("application/json")


async def _fields(request):
    fields = await (request.json(1024) if _wants_json(request) else request.form(1024))
    if not isinstance(fields, dict):
        raise HTTPError(400, "send an object")
    return fields


def _text(fields, name):
    value = fields.get(name)
    if not isinstance(value, str):
        raise HTTPError(400, name + " is missing")
    return value


def _logged_in(request, token):
    # A program gets the token, a browser the way to the page; both get the cookie.
    if _wants_json(request):
        response = Response({"token": token, "seconds": SESSION_SECONDS}, headers=_NO_STORE)
    else:
        response = redirect("/")
    response.set_cookie(COOKIE, token, SESSION_SECONDS)
    return response
