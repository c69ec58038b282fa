"""What somebody may do: with which devices, and by which requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from relay.wire import VERBS

PATTERN_MAX = 128
PATTERNS_MAX = 100


@dataclass(frozen=True, slots=True)
class Grant:
    """Whose it is and what it allows.

    Attributes:
        who: a name for the audit log.
        devices: patterns of names, as "pump-*" (fnmatch's).
        verbs: "GET", "CMD", or one item of these, as "CMD send_message".
        admin: whether it takes in the relay itself: users, tokens, groups, alerts.
    """

    who: str
    devices: tuple[str, ...] = ("*",)
    verbs: tuple[str, ...] = VERBS
    admin: bool = False

    def covers(self, name: str) -> bool:
        """Whether a device is among them."""
        return any(fnmatchcase(name, pattern) for pattern in self.devices)

    def allows(self, verb: str, item: str) -> bool:
        """Whether a request is."""
        return verb in self.verbs or f"{verb} {item}" in self.verbs


# With no users, on loopback.
ANYBODY = Grant("anybody", admin=True)


def checked_devices(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns of names as they may be.

    Raises:
        ValueError: the text says which can't.
    """
    found = tuple(patterns)
    if not 0 < len(found) <= PATTERNS_MAX:
        raise ValueError(f"there must be 1 to {PATTERNS_MAX} patterns of devices")
    for pattern in found:
        if not 0 < len(pattern) <= PATTERN_MAX or not pattern.isprintable():
            raise ValueError(f"{pattern!r} is no pattern of devices' names, as pump-*")
    return found


def checked_verbs(verbs: Iterable[str]) -> tuple[str, ...]:
    """Verbs as they may be; "*" stands for all.

    Raises:
        ValueError: the text says which can't.
    """
    found: list[str] = []
    for verb in verbs:
        name, _, item = verb.partition(" ")
        if verb == "*":
            found += VERBS
        elif name in VERBS and (not item or item.replace("_", "").isalnum()):
            found.append(verb)
        else:
            raise ValueError(f"{verb!r} is no request: GET, CMD, or one of them as CMD reboot")
    if not found:
        raise ValueError("there must be a request that is allowed, as GET")
    return tuple(dict.fromkeys(found))
