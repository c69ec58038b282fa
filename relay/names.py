"""Names of devices: the path at which a device connects, without the first slash."""

import re

# A path of the firmware's: `device/iam`, or `home/path` with several segments.
_SEGMENT = r"[A-Za-z0-9_.~-]+"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
NAME_MAX = 128

# What the relay serves beside the devices, and a device's page beside that.
RESERVED = frozenset(("api", "d", "health", "login", "logout", "metrics", "static", "ws"))


class BadName(ValueError):
    """A path that names no device; the text says why."""


def of_path(path: str) -> str:
    """The name in the path of a handshake's request.

    Raises:
        BadName: there is none.
    """
    name = path.partition("?")[0].removeprefix("/")
    return checked(name)


def checked(name: str) -> str:
    """The name, if a device can have it.

    Raises:
        BadName: it can't.
    """
    if not name:
        raise BadName("the path has to name a device, as /pump-7")
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    if not _NAME.fullmatch(name):
        raise BadName("a name has letters, digits, _, ., ~, - and / between parts")
    for segment in name.split("/"):
        if segment in (".", "..") or segment in RESERVED:
            raise BadName(f"a part of a name can't be {segment}")
    return name
