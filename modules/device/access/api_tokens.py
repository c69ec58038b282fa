"""API tokens: what programs are let in with, each by a name, with one right, until it is revoked.

Imported when the first one is shown or made. Only their SHA-256 is stored: they are random, so
nothing slower is needed (RFC 6819 section 5.1.4.1.3).
"""

from binascii import hexlify, unhexlify
from hashlib import sha256
from os import urandom

from httpd import HTTPError
from httpd.signing import equal

from ..log import log
from ..settings import storage
from ..settings.config import TOKENS
from ..settings.rights import RIGHTS
from .tokens import PREFIX

MAX_TOKENS = 16
MAX_NAME = 32

_SIZE = 16  # bytes: 128 random bits can't be guessed
_DIGEST_SIZE = 32

# Requests that take another right than reading where they only read, and admin where they don't.
# A command takes what commands._ITEMS says.
_TAKES = {
    "/api/backup": "admin",
    "/api/command": "read",
    "/api/files": "admin",
    "/api/tokens": "admin",
}


class ApiToken:
    """What is known of a token.

    Attributes:
        name: str, unique.
        right: one of `RIGHTS`.
        digest: SHA-256 of its text, bytes.
    """

    def __init__(self, name, right, digest):
        self.name = name
        self.right = right
        self.digest = digest


class ApiTokens:
    """The tokens that were made and not revoked.

    Args:
        ended: called with the digest of one that is revoked.
    """

    def __init__(self, ended):
        self._ended = ended
        try:
            stored = storage.load(TOKENS, lambda problem: log("error", problem), True) or {}
            self._tokens = [_load(entry) for entry in stored.get("tokens", ())]
        except (AttributeError, KeyError, TypeError, ValueError):
            # Which of them were good isn't known: none is.
            log("error", TOKENS + " can't be used: the API tokens in it are void")
            self._tokens = []

    def __iter__(self):
        return iter(self._tokens)

    def find(self, text):
        """The `ApiToken` that `text` is, None when it is none."""
        digest = sha256(text.encode()).digest()
        for token in self._tokens:
            if equal(token.digest, digest):
                return token
        return None

    def create(self, name, right):
        """Make a token; returns its text, which is known to nobody else afterwards.

        Raises:
            HTTPError: 400, the name or the right can't be; 409, the name is taken, or there are
                as many tokens as there can be.
            OSError: it can't be saved, and isn't made.
        """
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= MAX_NAME:
            raise HTTPError(400, f"a token's name has 1 to {MAX_NAME} bytes")
        if "/" in name or not name.strip() or any([c < " " or c == "\x7f" for c in name]):
            raise HTTPError(400, "a token's name has no / and no control characters")
        if right not in RIGHTS:
            raise HTTPError(400, "a token's right is one of " + ", ".join(RIGHTS))
        if any([token.name == name for token in self._tokens]):
            raise HTTPError(409, "there is a token of this name: revoke it first")
        if len(self._tokens) >= MAX_TOKENS:
            raise HTTPError(409, f"there are {MAX_TOKENS} tokens: revoke one first")
        text = PREFIX + str(hexlify(urandom(_SIZE)), "utf-8")
        self._save(self._tokens + [ApiToken(name, right, sha256(text.encode()).digest())])
        log("info", f"API token {name} is made, its right: {right}")
        return text

    def revoke(self, name):
        """End a token, and close what was opened with it.

        Raises:
            HTTPError: 404.
            OSError: it can't be saved, and the token stays good.
        """
        for token in self._tokens:
            if token.name == name:
                break
        else:
            raise HTTPError(404)
        self._save([other for other in self._tokens if other is not token])
        self._ended(token.digest)
        log("info", f"API token {name} is revoked")

    def _save(self, tokens):
        entries = []
        for token in tokens:
            digest = str(hexlify(token.digest), "utf-8")
            entries.append({"name": token.name, "right": token.right, "sha256": digest})
        storage.save(TOKENS, {"tokens": entries})
        self._tokens = tokens


def _load(entry):
    name, right, digest = entry["name"], entry["right"], unhexlify(entry["sha256"])
    if not isinstance(name, str) or right not in RIGHTS or len(digest) != _DIGEST_SIZE:
        raise ValueError
    return ApiToken(name, right, digest)


def check_right(request, right):
    """Check that a right is enough for a request.

    Raises:
        HTTPError: 403 (RFC 6750 section 3.1), it isn't.
    """
    path = "/".join(request.path.split("/")[:3])
    takes = _TAKES.get(path)
    if takes is None:
        takes = "read" if request.method in ("GET", "HEAD", "OPTIONS") else "admin"
    if RIGHTS.index(right) < RIGHTS.index(takes):
        challenge = (("WWW-Authenticate", 'Bearer error="insufficient_scope"'),)
        raise HTTPError(403, "this takes the right " + takes, challenge)
