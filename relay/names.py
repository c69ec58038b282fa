"""Names of devices: the path at which a device connects, without the first slash."""

import re

# A path of the firmware's: `device/iam`, or `home/path` with several segments.
_SEGMENT = r"[A-Za-z0-9_.~-]+"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
NAME_MAX = 128


class BadName(ValueError):
    """A path that names no device; the text says why."""


def of_path(path: str) -> str:
    """The name in the path of a handshake's request.

    Raises:
        BadName: there is none.
    """
    name = path.partition("?")[0].removeprefix("/")
    if not name:
        raise BadName("the path has to name a device, as /pump-7")
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    if not _NAME.fullmatch(name):
        raise BadName("a name has letters, digits, _, ., ~, - and / between parts")
    if any(segment in (".", "..") for segment in name.split("/")):
        raise BadName("a part of a name can't be . or ..")
    return name
