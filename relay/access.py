"""Who may come in, and what they may: devices by tokens, pages by tokens, users, a proxy's word.

The tables are read from the store, and again when they have changed there; who has lost the right
to be here is then closed.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from itsdangerous import BadSignature, URLSafeTimedSerializer

from relay import passwords
from relay.config import Config
from relay.grants import ANYBODY, Grant
from relay.storage import Storage

COOKIE = "relay_session"
SESSION_SECONDS = 30 * 86400

# Logins that may fail within so many seconds: from one address, and in all.
ATTEMPTS_SECONDS = 300
ATTEMPTS_OF_ONE = 5
ATTEMPTS_OF_ALL = 100

# What a proxy says of who has asked (RFC 7239, and the older ones).
_PROXIED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class Refused(Exception):
    """Nobody who may; the text says why."""


class TooMany(Exception):
    """Logins that failed; the text is for who tries."""


class Access:
    """The tables, and what follows from them.

    Args:
        config: which of it counts.
        storage: where the tables are kept.

    Attributes:
        on_change: called when the tables have changed.
    """

    def __init__(self, config: Config, storage: Storage) -> None:
        self._config = config
        self._storage = storage
        self._device_tokens: dict[str, set[str]] = {}
        self._page_tokens: dict[str, tuple[Grant, float | None]] = {}
        self._users: dict[str, tuple[str, Grant]] = {}
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32))
        self._failed: OrderedDict[str, list[float]] = OrderedDict()
        self._checking = asyncio.Semaphore(1)  # each takes 16 MiB and a core
        self.on_change: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Read the tables."""
        key = await self._storage.secret("sessions", lambda: secrets.token_bytes(32))
        self._signer = URLSafeTimedSerializer(key, salt="session")
        await self.reload()

    async def reload(self) -> None:
        """Read the tables again."""
        tables = (
            await self._storage.device_tokens(),
            await self._storage.page_tokens(),
            await self._storage.users(),
        )
        if tables != (self._device_tokens, self._page_tokens, self._users):
            self._device_tokens, self._page_tokens, self._users = tables
            self.on_change()

    # Devices

    def device(self, name: str, headers: Mapping[str, str]) -> str | None:
        """Whether a device may connect by a name.

        Returns:
            The SHA-256 of its token, None where it needs none.

        Raises:
            Refused: it may not.
        """
        known = self._device_tokens.get(name)
        token = bearer(headers)
        if known is None:
            # One that has a token at all isn't asked for it by a relay that has none for it.
            if self._config.open_devices or (self._open(headers, self._config.device_host)):
                return None
            raise Refused(f"there is no device {name} here")
        if token is None:
            raise Refused(f"{name} needs its token")
        digest = passwords.token_digest(token)
        if digest not in known:
            raise Refused(f"this is not the token of {name}")
        return digest

    def still_device(self, name: str, digest: str | None) -> bool:
        """Whether a device that came by a token, or by none, may stay."""
        known = self._device_tokens.get(name)
        return known is None if digest is None else known is not None and digest in known

    async def device_came(self, name: str, digest: str) -> None:
        """Note that a device has used a token; older ones end."""
        if len(self._device_tokens.get(name, ())) < 2:
            return
        if await self._storage.device_token_used(name, digest):
            await self.reload()

    # Pages

    def page(self, headers: Mapping[str, str], query: Mapping[str, str], address: str) -> Grant:
        """What who asks by HTTP may do.

        Args:
            headers: of the request.
            query: of its target; `token` is one of a page.
            address: whom the connection is from.

        Raises:
            Refused: nothing.
        """
        token = _page_token(headers, query)
        if token is not None:
            grant, expires = self._page_tokens.get(passwords.token_digest(token), (None, None))
            if grant is None or (expires is not None and expires < time.time()):
                raise Refused("this token is not known, or has expired")
            return grant
        header = self._config.user_header
        if header and address in self._config.proxies:
            name = headers.get(header, "")
            if name not in self._users:
                raise Refused(f"there is no user {name}" if name else f"{header} is missing")
            return self._users[name][1]
        if not self._users and self._open(headers, self._config.page_host):
            return ANYBODY
        grant = self._by_session(headers)
        if grant is None:
            raise Refused("log in first")
        return grant

    def seconds_left(self, headers: Mapping[str, str], query: Mapping[str, str]) -> float | None:
        """How long who asks may stay, None for as long as nothing changes."""
        token = _page_token(headers, query)
        if token is None:
            return None
        _, expires = self._page_tokens.get(passwords.token_digest(token), (None, None))
        return None if expires is None else max(0.0, expires - time.time())

    def open_to_all(self, headers: Mapping[str, str]) -> bool:
        """Whether nobody needs to log in."""
        return not self._users and self._open(headers, self._config.page_host)

    def _open(self, headers: Mapping[str, str], host: str) -> bool:
        # Who comes by a proxy comes from anywhere.
        return _is_loopback(host) and not any(name in headers for name in _PROXIED)

    # Sessions: the cookie says whose it is; who changes the password ends those there are.

    async def log_in(self, name: str, password: str, address: str) -> str:
        """The cookie of a user's session.

        Raises:
            Refused: there is no such user with this password.
            TooMany: too many have failed.
        """
        async with self._checking:
            self._check_attempts(address)
            kept, grant = self._users.get(name, (passwords.NOBODY, None))
            good = await asyncio.to_thread(passwords.password_is, password, kept)
        if not good or grant is None:
            self._count(address)
            raise Refused("the name or the password is wrong")
        self._failed.pop(address, None)
        return self._signer.dumps([name, _mark(kept)])

    def _by_session(self, headers: Mapping[str, str]) -> Grant | None:
        cookie = _cookie(headers.get("Cookie", ""))
        if cookie is None:
            return None
        try:
            name, mark = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadSignature, ValueError, TypeError):
            return None
        kept, grant = self._users.get(name, (None, None))
        return grant if kept is not None and _mark(kept) == mark else None

    def _check_attempts(self, address: str) -> None:
        since = time.monotonic() - ATTEMPTS_SECONDS
        while self._failed and next(iter(self._failed.values()))[-1] < since:
            self._failed.popitem(last=False)
        failed = [when for when in self._failed.get(address, ()) if when >= since]
        everywhere = sum(len(times) for times in self._failed.values())
        if len(failed) >= ATTEMPTS_OF_ONE or everywhere >= ATTEMPTS_OF_ALL:
            raise TooMany("too many logins have failed: try again in some minutes")

    def _count(self, address: str) -> None:
        times = self._failed.pop(address, [])
        self._failed[address] = [*times[-ATTEMPTS_OF_ONE:], time.monotonic()]


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header (RFC 6750 section 2.1)."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def _page_token(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    return bearer(headers) or query.get("token")


def _cookie(header: str) -> str | None:
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _mark(kept: str) -> str:
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
