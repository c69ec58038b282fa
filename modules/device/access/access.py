"""Who may use the device: an admin password, and sessions for those who gave it.

Until a password is set the device is open to whom the board trusts (`board.trusted`): on a chip
to clients of its own access point, which has a password of its own. From then on everything but
what tells nothing asks for a session, whose token travels in a cookie or, for programs, in
`Authorization: Bearer`; or there for an API token, which has a right of its own.
"""

import board
from httpd import HTTPError

from ..log import log
from ..settings import storage
from ..settings.config import ADMIN


class Access:
    """Decides who may do what.

    Args:
        revoked: called after sessions have ended, to close what they opened: with the token of
            one, bytes, or with None when all have; and with an API token's digest.
        opened: whether who holds the device in hand has opened it: a password that can't be used
            is none then.

    Attributes:
        password: the `password.Password`, None until one is set.
    """

    def __init__(self, revoked, opened=False):
        self.revoked = revoked
        self.password = None
        try:
            stored = storage.load(ADMIN, lambda problem: log("error", problem), True)
        except ValueError:
            stored = {}
        if stored is not None:
            from .password import load

            self.password = load(stored, revoked, opened)

    def right(self, request, peer):
        """What `request`, whose `headers` have a `get` by lower-case name, may do.

        Returns:
            One of `rights.RIGHTS`, None when it may do nothing.
        """
        if self.password is None:
            return "admin" if board.trusted(peer) else None
        return self.password.right(request.headers)

    def still(self, request):
        """The `right` of a request whose body has come.

        Raises:
            HTTPError: 401 when it has none any more, 403 when what it has isn't enough: meanwhile
                its session has ended, or the device got its first password.
        """
        right = self.right(request, request.peer)
        if right is None:
            raise HTTPError(401, "log in first", (("WWW-Authenticate", "Bearer"),))
        if right != "admin":
            from .api_tokens import check_right

            check_right(request, right)
        return right
