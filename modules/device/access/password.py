"""The admin password: its hash, the sessions of those who gave it, and how often one may guess.

Imported once there is a password. Sessions are in RAM: a restart ends them.
"""

from asyncio import Lock, sleep_ms
from binascii import hexlify, unhexlify
from hashlib import sha256
from os import urandom
from time import time

from httpd import HTTPError

from ..log import log

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

# Wrong passwords that a source may give before it must wait, how long first (doubled with each
# further one) and at most, in seconds; and how many sources are remembered.
FREE_ATTEMPTS = 5
FIRST_WAIT = 10
LONGEST_WAIT = 600
MAX_SOURCES = 16


# One hash is made at a time: it takes all there is of the processor.
_deriving = Lock()


def equal(a, b):
    """Compare bytes in a time that doesn't tell where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0


async def derive(password, salt, iterations):
    """PBKDF2-HMAC-SHA-256 (RFC 8018 section 5.2), its first 32 bytes.

    Args:
        password: bytes, at most 64.
        salt: bytes.
        iterations: int.
    """
    padding = bytes(64 - len(password))
    # HMAC (RFC 2104 section 2) with its two keys made once.
    inner = bytes([b ^ 0x36 for b in password + padding])
    outer = bytes([b ^ 0x5C for b in password + padding])
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
    """The tokens that are good at the moment."""

    def __init__(self):
        self._sessions = []  # [token, time at which it ends], oldest first

    def create(self):
        """Make a session; returns its token, 32 hexadecimal digits."""
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(0)
        token = hexlify(urandom(_TOKEN_SIZE))
        self._sessions.append((token, int(time()) + SESSION_SECONDS))
        return str(token, "utf-8")

    def valid(self, token):
        """Whether `token` (str or None) belongs to a session that goes on."""
        return self._find(token) is not None

    def end(self, token):
        """End a session; returns whether there was one of this token."""
        session = self._find(token)
        if session is None:
            return False
        self._sessions.remove(session)
        return True

    def _find(self, token):
        if not token:
            return None
        token = token.encode()
        now = int(time())
        found = None
        self._sessions = [session for session in self._sessions if session[1] > now]
        for session in self._sessions:
            # No early end: the time must not tell which one matches, or how far.
            if equal(session[0], token):
                found = session
        return found


class Attempts:
    """Counts wrong passwords by source and says how long to wait before the next."""

    def __init__(self):
        self._sources = {}  # source: [attempts, time before which there is no further one]

    def begin(self, source):
        """Note an attempt, which counts as wrong until `succeeded`.

        Returns:
            0, or the seconds to wait instead of trying.
        """
        now = int(time())
        known = self._sources.get(source)
        if known is None:
            if len(self._sources) >= MAX_SOURCES:
                # Who has waited for longest, or has least to wait for, is forgotten.
                oldest = min(self._sources, key=lambda source: self._sources[source][1])
                del self._sources[oldest]
            known = self._sources[source] = [0, now]
        if known[1] > now:
            return min(known[1] - now, LONGEST_WAIT)
        known[0] += 1
        excess = known[0] - FREE_ATTEMPTS
        if excess >= 0:
            known[1] = now + min(FIRST_WAIT << min(excess, 10), LONGEST_WAIT)
        return 0

    def succeeded(self, source):
        """Forget the wrong attempts of a source that knew the password."""
        self._sources.pop(source, None)


class Password:
    """The admin password that is set.

    Args:
        salt, iterations, derived: its hash, see `derive`.

    Attributes:
        sessions: the `Sessions` of those who gave it.
        attempts: the `Attempts` to guess it.
    """

    def __init__(self, salt, iterations, derived):
        self._hash = salt, iterations, derived
        self.sessions = Sessions()
        self.attempts = Attempts()

    @staticmethod
    async def make(text):
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
            return Password(salt, ITERATIONS, await derive(encoded, salt, ITERATIONS))
        finally:
            _deriving.release()

    @staticmethod
    def load(stored):
        """The `Password` from what `stored()` gave.

        Raises:
            KeyError, TypeError, ValueError: it isn't that.
        """
        iterations = stored["iterations"]
        if not isinstance(iterations, int) or not 0 < iterations <= 1_000_000:
            raise ValueError
        return Password(unhexlify(stored["salt"]), iterations, unhexlify(stored["hash"]))

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
            HTTPError: 429 after too many wrong ones, 401 for a wrong one.
        """
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
            log("error", "wrong admin password")
            raise HTTPError(401, "wrong password")
        self.attempts.succeeded(source)
