"""Sessions: what a server remembers of a browser, in the browser or in memory."""

import json
import os
from binascii import hexlify
from time import time

from .signing import sign, unsign

# RFC 6265 section 6.1: what browsers take at least, with the name and the attributes.
COOKIE_MAX = 4096 - 100


class SignedSessions:
    """Sessions in a cookie that nobody else can make; whose they are can read them.

    Args:
        secret: bytes, 16 at least; who has them can make sessions. Other ones end all sessions.
        cookie: its name.
        max_age: seconds that a session lasts after it was saved, by the device's clock, which
            must be set then; None: until the browser is closed.
        secure: whether the cookie goes over TLS only.

    Raises:
        ValueError: a secret that can be guessed.
    """

    def __init__(self, secret, cookie="session", max_age=None, secure=False):
        if len(secret) < 16:
            raise ValueError("a secret has 16 bytes at least")
        self._secret = secret
        self._cookie = cookie
        self._max_age = max_age
        self._secure = secure

    def load(self, request):
        """The session of a request, a dict to change and save; empty for a new one."""
        data = unsign(self._secret, request.cookies.get(self._cookie, ""))
        if data is None:
            return {}
        saved, session = json.loads(data)
        if self._max_age is not None and not 0 <= time() - saved <= self._max_age:
            return {}
        return session

    def save(self, response, session):
        """Have a response carry a session.

        Raises:
            ValueError: it is more than a cookie holds.
        """
        text = sign(self._secret, json.dumps([int(time()), session]).encode())
        if len(text) > COOKIE_MAX:
            raise ValueError("a session over " + str(COOKIE_MAX) + " characters")
        response.set_cookie(self._cookie, text, self._max_age, secure=self._secure)

    def end(self, response):
        """Have the browser forget the session."""
        response.set_cookie(self._cookie, "", 0, secure=self._secure)


class MemorySessions:
    """Sessions of which the browser has a number that can't be guessed. They end with the device.

    Args:
        most: that are kept; the one that was used longest ago goes.
        cookie, secure: as of `SignedSessions`.
    """

    def __init__(self, most=8, cookie="session", secure=False):
        self._most = most
        self._cookie = cookie
        self._secure = secure
        self._kept = []  # (number, session), the one used last at the end

    def load(self, request):
        """The session of a request, a dict to change; empty for a new one, which is to be
        saved."""
        number = request.cookies.get(self._cookie)
        for i, kept in enumerate(self._kept):
            if kept[0] == number:
                self._kept.append(self._kept.pop(i))
                return kept[1]
        return {}

    def save(self, response, session):
        """Keep a session, under a number that is new with each call."""
        self._drop(session)
        number = str(hexlify(os.urandom(16)), "utf-8")
        if len(self._kept) >= self._most:
            self._kept.pop(0)
        self._kept.append((number, session))
        response.set_cookie(self._cookie, number, secure=self._secure)

    def end(self, response, session):
        """Forget a session, here and in the browser."""
        self._drop(session)
        response.set_cookie(self._cookie, "", 0, secure=self._secure)

    def _drop(self, session):
        self._kept = [kept for kept in self._kept if kept[1] is not session]
