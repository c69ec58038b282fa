"""Handlers for logging in and out, for the admin password and for API tokens."""

from httpd import HTTPError, Response, redirect

from ..access.password import SESSION_SECONDS, set_password, verify
from ..access.tokens import cookie_name

_NO_STORE = (("Cache-Control", "no-store"),)


async def login(device, request):
    fields = await _fields(request)
    access = device.access
    if access.password is None:
        raise HTTPError(409, "no password is set")
    await verify(access, _text(fields, "password"), _source(request))
    return _logged_in(request, access.password.log_in())


async def password(device, request):
    fields = await _fields(request)
    new = _text(fields, "new")
    access = device.access
    if access.password is not None:
        # A session alone isn't enough: it may be a browser that somebody left open.
        await verify(access, _text(fields, "current"), _source(request))
    await set_password(access, new)
    return _logged_in(request, access.password.log_in())


def logout(device, request):
    known = device.access.password
    if known is not None:
        known.log_out(request.headers)
    response = redirect("login")
    _set_cookie(request, response, "", 0)
    return response


def tokens(device, request):
    password = device.access.password
    kept = () if password is None else password.tokens
    made = [{"name": token.name, "right": token.right} for token in kept]
    return Response({"tokens": made}, headers=_NO_STORE)


async def make_token(device, request):
    fields = await _fields(request)
    password = device.access.password
    if password is None:
        raise HTTPError(409, "set a password first")
    device.access.still(request)
    name = _text(fields, "name").strip()
    right = _text(fields, "right")
    text = password.tokens.create(name, right)
    return Response({"name": name, "right": right, "token": text}, 201, headers=_NO_STORE)


def revoke_token(device, request, name):
    password = device.access.password
    if password is None:
        raise HTTPError(404)
    password.tokens.revoke(name)


def _source(request):
    # The client's address, as the proxy in front says it if there is one (guard.Guard).
    client = getattr(request, "client", None)
    peer = request.peer
    return client or (None if peer is None else peer[0])


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
        response = redirect("./")
    _set_cookie(request, response, token, SESSION_SECONDS)
    return response


def _set_cookie(request, response, value, max_age):
    secure = request.secure
    name = cookie_name(secure, request.headers.get("host"))
    response.set_cookie(name, value, max_age, secure=secure)
