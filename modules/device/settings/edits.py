"""What pages need to know of the settings for forms, one group at a time."""

from .config import FIELDS, SECRET

# Head of a path -> what the group is called; "interfaces" have forms of their own.
_GROUPS = (
    ("device", "Identity"),
    ("ap", "Access point"),
    ("sta", "Station"),
    ("wifi", "Radio"),
    ("home", "Phone home"),
    ("http", "Web server"),
    ("https", "HTTPS"),
    ("time", "Time"),
    ("portal", "Captive portal"),
    ("websocket", "WebSocket server"),
    ("limits", "Limits"),
    ("app", "App"),
    ("echoserver", "Echo server"),
)


def groups():
    """[{"name", "title"}], in the order in which they are shown."""
    return [{"name": name, "title": title} for name, title in _GROUPS]


def group(config, name):
    """The fields of one group: [{"path", "kind", "least", "most", "default", "live", "help",
    "value"}]; of a secret there is "set", whether it has a value, in the place of that.

    Raises:
        ValueError: there is no such group.
    """
    if not any([name == known for known, _ in _GROUPS]):
        raise ValueError(f"there is no group {name!r}")
    found = []
    for path, kind, least, most, _, live, text in FIELDS:
        if path.partition("/")[0] != name:
            continue
        described = {
            "path": path,
            "kind": kind,
            "least": least,
            "most": most,
            "live": live,
            "help": text,
        }
        if kind == "choice":
            described["choices"] = list(least)
        if kind == "right":
            from .rights import RIGHTS

            described["kind"] = "choice"
            described["choices"] = list(RIGHTS)
        if path in SECRET:
            described["set"] = bool(config.get(path))
        else:
            described["value"] = _plain(config.get(path))
            described["default"] = _plain(config.get(path, True))
        found.append(described)
    return found


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
