"""The admin password: its hash, the sessions of those who gave it, and how often one may guess.

Imported once there is a password. Sessions are in RAM: a restart ends them.
"""

from asyncio import Lock, create_task, sleep, sleep_ms
from binascii import hexlify, unhexlify
from hashlib import sha256
from os import urandom

import board
from clock import uptime
from httpd import HTTPError
from httpd.signing import equal, hmac_keys

from ..log import log
from ..settings import storage
from ..settings.config import ADMIN
from .tokens import PREFIX, bearer, tokens_of

# Rounds of PBKDF2 (RFC 8018 section 5.2). A round takes two SHA-256 objects, 3 us on a desktop and
# some 100 us on an ESP32: 4000 keep a login below a second. They are stored with the hash, so that
# a later release may raise them.
ITERATIONS = 4000

# Rounds between two turns of the event loop: it waits a few ms at most.
_SLICE = 40

# NIST SP 800-63B asks for at least 8 characters; HMAC takes up to 64 bytes as they are.
MIN_PASSWORD = 8
MAX_PASSWORD = 64

_SALT_SIZE = 16

# 128 random bits can't be guessed. A few people with a few browsers each are logged in at a time;
# the oldest session makes room.
_TOKEN_SIZE = 16
MAX_SESSIONS = 8
SESSION_SECONDS = 24 * 3600

# How often it is looked for sessions whose time is over, in seconds.
EXPIRY_STEP = 60

# Wrong passwords that a source may give before it must wait, how long first (doubled with each
# further one) and at most, in seconds; and how many sources are remembered.
FREE_ATTEMPTS = 5
FIRST_WAIT = 10
LONGEST_WAIT = 600
MAX_SOURCES = 16

# Wrong passwords of strangers, whatever their addresses, and then the seconds between two of them;
# whoever has given the password lately isn't one. It takes 16 years to try 50 million that way.
FREE_IN_ALL = 50
WAIT_IN_ALL = 10


# One hash is made at a time: it takes all there is of the processor.
_deriving = Lock()


async def derive(password, salt, iterations):
    """PBKDF2-HMAC-SHA-256 (RFC 8018 section 5.2), its first 32 bytes.

    Args:
        password: bytes, at most 64.
        salt: bytes.
        iterations: int.
    """
    inner, outer = hmac_keys(password)
    block = salt + b"\0\0\0\1"
    result = 0
    for i in range(iterations):
        digest = sha256(inner)
        digest.update(block)
        block = digest.digest()
        digest = sha256(outer)
        digest.update(block)
        block = digest.digest()
        result ^= int.from_bytes(block, "big")
        if i % _SLICE == _SLICE - 1:
            await sleep_ms(0)
    return result.to_bytes(32, "big")


class Sessions:
    """The tokens that are good at the moment.

    Args:
        ended: called with the token, bytes, of each session that has ended.
    """

    def __init__(self, ended):
        self._ended = ended
        self._sessions = []  # (token, uptime at which it ends), oldest first

    def __len__(self):
        return len(self._sessions)

    def create(self):
        """Make a session; returns its token, 32 hexadecimal digits."""
        if len(self._sessions) >= MAX_SESSIONS:
            self._ended(self._sessions.pop(0)[0])
        token = hexlify(urandom(_TOKEN_SIZE))
        self._sessions.append((token, uptime() + SESSION_SECONDS))
        return str(token, "utf-8")

    def find(self, token):
        """The token, bytes, of the session that `token`, str or None, belongs to; else None."""
        if not token:
            return None
        token = token.encode()
        self.expire()
        found = None
        for session in self._sessions:
            # No early end: the time must not tell which one matches, or how far.
            if equal(session[0], token):
                found = session[0]
        return found

    def end(self, token):
        """End the session of a token, bytes, that `find` has found."""
        self._sessions = [session for session in self._sessions if session[0] != token]
        self._ended(token)

    def expire(self):
        """End the sessions whose time is over."""
        now = uptime()
        while self._sessions and self._sessions[0][1] <= now:
            self._ended(self._sessions.pop(0)[0])


class Attempts:
    """Counts wrong passwords by source and in all, and says how long to wait before the next.

    Attributes:
        refused: how many logins have been refused.
    """

    def __init__(self):
        self.refused = 0
        self._sources = {}  # source: [attempts, uptime before which there is no further one]
        self._all = [0, 0]
        self._known = []  # sources that have given the password, the last one last

    def begin(self, source):
        """Note an attempt, which counts as wrong until `succeeded`.

        Returns:
            0, or the seconds to wait instead of trying.
        """
        now = int(uptime())
        known = self._sources.get(source)
        if known is None:
            if len(self._sources) >= MAX_SOURCES:
                # Who has waited for longest, or has least to wait for, is forgotten.
                oldest = min(self._sources, key=lambda source: self._sources[source][1])
                del self._sources[oldest]
            known = self._sources[source] = [0, now]
        total = self._all
        strange = source not in self._known
        wait = max(known[1], total[1] if strange else 0) - now
        if wait > 0:
            self.refused += 1
            return wait
        known[0] += 1
        excess = known[0] - FREE_ATTEMPTS
        if excess >= 0:
            known[1] = now + min(FIRST_WAIT << min(excess, 10), LONGEST_WAIT)
        if strange:
            total[0] += 1
            if total[0] >= FREE_IN_ALL:
                total[1] = now + WAIT_IN_ALL
        return 0

    def failed(self):
        """Count a wrong password."""
        self.refused += 1

    def succeeded(self, source):
        """Forget the wrong attempts of a source that knew the password, and remember it."""
        self._sources.pop(source, None)
        known = [other for other in self._known if other != source]
        known.append(source)
        self._known = known[-MAX_SOURCES:]
        self._all[0] = 0


class Password:
    """The admin password that is set.

    Args:
        salt, iterations, derived: its hash, see `derive`.
        ended: see `Sessions`; also called with the digest of an API token that is revoked.

    Attributes:
        sessions: the `Sessions` of those who gave it.
        attempts: the `Attempts` to guess it.
    """

    damaged = False  # nobody knows it: what is stored can't be used
    _expiring = False
    _tokens = None

    def __init__(self, salt, iterations, derived, ended):
        self._hash = salt, iterations, derived
        self._ended = ended
        self.sessions = Sessions(ended)
        self.attempts = Attempts()

    @staticmethod
    async def make(text, ended):
        """The `Password` for a text.

        Raises:
            HTTPError: 400, it is too short or too long.
        """
        encoded = text.encode()
        if not MIN_PASSWORD <= len(encoded) <= MAX_PASSWORD:
            raise HTTPError(400, f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} bytes")
        salt = urandom(_SALT_SIZE)
        # Not `async with`: leaving it takes memory, and without that the lock stays for ever.
        await _deriving.acquire()
        try:
            return Password(salt, ITERATIONS, await derive(encoded, salt, ITERATIONS), ended)
        finally:
            _deriving.release()

    def stored(self):
        """A dict for JSON, from which `load` makes the same again."""
        salt, iterations, derived = self._hash
        return {
            "salt": str(hexlify(salt), "utf-8"),
            "iterations": iterations,
            "hash": str(hexlify(derived), "utf-8"),
        }

    async def verify(self, text, source):
        """Check a password given by `source`, an address.

        Raises:
            HTTPError: 429 after too many wrong ones, 401 for a wrong one, 403 when the password
                is lost.
        """
        if self.damaged:
            raise HTTPError(403, "the password is damaged: start the device with BOOT held")
        wait = self.attempts.begin(source)
        if wait:
            raise HTTPError(429, "too many attempts", (("Retry-After", str(wait)),))
        salt, iterations, expected = self._hash
        encoded = text.encode()
        await _deriving.acquire()
        try:
            # One that is too long can't be right, and takes as long to refuse.
            derived = await derive(encoded[:MAX_PASSWORD], salt, iterations)
        finally:
            _deriving.release()
        if not equal(derived, expected) or len(encoded) > MAX_PASSWORD:
            self.attempts.failed()
            log("error", f"wrong admin password from {source}")
            raise HTTPError(401, "wrong password")
        self.attempts.succeeded(source)

    def log_in(self):
        """Make a session for who has given the password; returns its token, a str."""
        token = self.sessions.create()
        if not self._expiring:
            create_task(self._expire())
            self._expiring = True
        return token

    def session_of(self, headers):
        """The token, bytes, of the session that a request belongs to; None for none."""
        found = None
        for token in tokens_of(headers):
            found = self.sessions.find(token) or found
        return found

    def right(self, headers):
        """What a request may do: one of `rights.RIGHTS`, None when it may do nothing."""
        if self.session_of(headers) is not None:
            return "admin"
        token = self._token(headers)
        return None if token is None else token.right

    def holder(self, headers):
        """What lets a request in, bytes: with its end, `ended` is called with it."""
        session = self.session_of(headers)
        if session is not None:
            return session
        token = self._token(headers)
        return None if token is None else token.digest

    @property
    def tokens(self):
        """The `api_tokens.ApiTokens`; read when they are first asked for."""
        if self._tokens is None:
            from .api_tokens import ApiTokens

            self._tokens = ApiTokens(self._ended)
        return self._tokens

    def _token(self, headers):
        text = bearer(headers)
        return self.tokens.find(text) if text.startswith(PREFIX) else None

    def log_out(self, headers):
        """End the sessions that a request belongs to: with TLS and without it.

        One that belongs to none ends nothing: anybody may send it.
        """
        for token in tokens_of(headers):
            found = self.sessions.find(token)
            if found is not None:
                self.sessions.end(found)

    async def _expire(self):
        # Nobody asks with a session whose time is over; what it has opened is closed all the same.
        try:
            while len(self.sessions):
                await sleep(EXPIRY_STEP)
                self.sessions.expire()
        finally:
            self._expiring = False


def load(stored, ended, opened):
    """The `Password` from what `Password.stored` gave.

    Args:
        stored: that dict, or another.
        ended: see `Sessions`.
        opened: whether there is no password when it can't be used; else there is one that nobody
            knows.

    Returns:
        It, or None.
    """
    try:
        iterations = stored["iterations"]
        if not isinstance(iterations, int) or not 0 < iterations <= 1_000_000:
            raise ValueError
        salt, derived = unhexlify(stored["salt"]), unhexlify(stored["hash"])
        if len(salt) == _SALT_SIZE and len(derived) == 32:
            return Password(salt, iterations, derived, ended)
    except (KeyError, TypeError, ValueError):
        pass
    if opened:
        log("error", ADMIN + " can't be used: a new password can be set")
        return None
    # Neither open, nor with a password that was changed since.
    log("error", ADMIN + " can't be used: the device is locked")
    password = Password(b"", 1, b"", ended)
    password.damaged = True
    return password


async def verify(access, text, source):
    """Check a password given by an address; raises as `Password.verify`.

    Args:
        access: the `access.Access`, which has a password.
    """
    password = access.password
    await password.verify(text, source)
    if password is not access.password:
        raise HTTPError(401, "the password was changed meanwhile")


async def set_password(access, text):
    """Set the password of an `access.Access` and end every session.

    Raises:
        HTTPError: 400, it is too short or too long; 409, another was set meanwhile.
        OSError: it can't be saved; the old one stays.
    """
    before = access.password
    password = await Password.make(text, access.revoked)
    if access.password is not before:
        raise HTTPError(409, "another password was set meanwhile")
    if board.chip is not None:
        # Should the new file be damaged before it is copied, the old one must not come back.
        from ..settings.copies import outdate

        outdate(board.chip.store, ADMIN)
    storage.save(ADMIN, password.stored())
    if before is not None:
        password.attempts = before.attempts
    access.password = password
    access.revoked(None)
    log("info", "admin password set")
