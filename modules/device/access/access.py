"""Who may use the device: an admin password, and sessions for those who gave it.

Until a password is set the device is open to whom the board trusts (`board.trusted`): on a chip
to clients of its own access point, which has a password of its own. From then on everything but
what tells nothing asks for a session, whose token travels in a cookie or, for programs, in
`Authorization: Bearer`.
"""

import board
from httpd import HTTPError

from ..log import log
from ..settings import storage
from ..settings.config import ADMIN

# Over TLS the cookie has a name of its own: browsers don't let a page without TLS replace one that
# is Secure (RFC 6265bis section 5.7), so nobody could log in there any more. The prefix keeps
# others from setting it (section 4.1.3.2).
COOKIE = "session"
SECURE_COOKIE = "__Host-session"


class Access:
    """Decides who may do what.

    Args:
        revoked: called without arguments after sessions have ended, to close what they opened.
    """

    def __init__(self, revoked):
        self._revoked = revoked
        self._password = None
        stored = storage.load(ADMIN, lambda problem: log("error", problem))
        if stored:
            from .password import Password

            try:
                self._password = Password.load(stored)
            except (KeyError, TypeError, ValueError):
                # The device falls back to what is open on its own access point, where a new
                # password can be set.
                log("error", ADMIN + " can't be used: no admin password")

    @property
    def has_password(self):
        """Whether a password is set."""
        return self._password is not None

    @property
    def sessions(self):
        """The `password.Sessions`; only once a password is set."""
        return self._password.sessions

    def allows(self, request, peer):
        """Whether `request`, whose `headers` have a `get` by lower-case name, may go on."""
        if self._password is None:
            return board.trusted(peer)
        sessions = self._password.sessions
        return any([sessions.valid(token) for token in tokens_of(request.headers)])

    async def verify(self, text, source):
        """Check a password given by an address; raises as `password.Password.verify`."""
        password = self._password
        await password.verify(text, source)
        if password is not self._password:
            raise HTTPError(401, "the password was changed meanwhile")

    async def set_password(self, text):
        """Set the password and end every session.

        Raises:
            HTTPError: 400, it is too short or too long.
            OSError: it can't be saved; the old one stays.
        """
        from .password import Password

        password = await Password.make(text)
        storage.save(ADMIN, password.stored())
        if self._password is not None:
            password.attempts = self._password.attempts
        self._password = password
        self._revoked()
        log("info", "admin password set")

    def log_out(self, headers):
        """End the sessions that a request belongs to: with TLS and without it.

        One that belongs to none ends nothing: anybody may send it.
        """
        if self._password is not None:
            sessions = self._password.sessions
            if any([sessions.end(token) for token in tokens_of(headers)]):
                self._revoked()


def tokens_of(headers):
    """The session tokens in a request's fields: RFC 6750 section 2.1, or the cookies."""
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        return [token.strip()] if scheme.lower() == "bearer" else []
    tokens = []
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.partition("=")
        if name.strip() in (COOKIE, SECURE_COOKIE):
            tokens.append(value.strip())
    return tokens
