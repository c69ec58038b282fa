"""Helpers for who may ask: a name and a password, or a token, with each request."""

from binascii import a2b_base64

from .errors import HTTPError
from .hooks import settled


class _Auth:
    # `challenge` is the WWW-Authenticate field (RFC 9110 section 11.6.1).

    def __init__(self, check, challenge):
        self._check = check
        self._challenge = challenge

    def __call__(self, handler):
        """Decorator: only who is let in reaches the handler."""

        async def wrapped(request, **parameters):
            await self.require(request)
            return await settled(handler(request, **parameters))

        return wrapped

    async def require(self, request):
        """Let a request pass, with `request.user`; for `Application.before_request` too.

        Raises:
            HTTPError: 401.
        """
        given = self._given(request)
        user = None if given is None else await settled(self._check(*given))
        if not user:
            raise HTTPError(401, headers=(("WWW-Authenticate", self._challenge),))
        request.user = user

    def _given(self, request):
        # RFC 9110 section 11.4: the scheme in any case, then the rest.
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != self._scheme:
            return None
        return self._credentials(rest.strip())


class BasicAuth(_Auth):
    """Basic authentication (RFC 7617); over TLS, or everybody on the way reads the password.

    Args:
        check: called with name and password, a function or a coroutine; what it returns becomes
            `request.user`, and is false for who isn't let in.
        realm: what the browser says that the password is for.

    Raises:
        ValueError: a character in the realm that no quoted string can have.
    """

    _scheme = "basic"

    def __init__(self, check, realm="device"):
        if '"' in realm or "\\" in realm or not all([" " <= c <= "~" for c in realm]):
            raise ValueError("a realm is printable ASCII without quotes: " + repr(realm))
        super().__init__(check, 'Basic realm="' + realm + '", charset="UTF-8"')

    def _credentials(self, text):
        try:
            name, found, password = str(a2b_base64(text), "utf-8").partition(":")
        except ValueError:
            return None
        return (name, password) if found else None


class TokenAuth(_Auth):
    """Bearer tokens (RFC 6750).

    Args:
        check: called with the token; the rest is as of `BasicAuth`. Compare by
            `signing.equal`, which takes as long for every wrong one.
    """

    _scheme = "bearer"

    def __init__(self, check):
        super().__init__(check, "Bearer")

    def _credentials(self, text):
        return (text,) if text else None
