"""The configuration: `network.json`, `app.json` and the secrets, checked field by field.

A field's path joins its keys: `sta/ssid` is "ssid" in the object "sta". A field that is unknown
or bad is reported (`problems`) and its default used; nothing in these files stops the device.

`app.json` may keep the fields of an app in an object with the app's name
(`{"demo": {"http": {"port": 80}}}`) or at the top (`{"http": {"port": 80}}`).
"""

import json

import board
from fields import check as check_field
from fields import check_text

from . import storage

NETWORK = "/network.json"
APP = "/app.json"
SECRETS = "/secrets.json"

# The admin password's hash, which access.Access keeps; nothing in it is a field.
ADMIN = "/admin.json"
TOKENS = "/tokens.json"


# Path, kind, least, most, default. Bounds are bytes of a text, else of the value itself. One tuple
# of literals, which stays in flash.
_FIELDS = (
    # network.json: what the device is called, the networks that it makes and joins.
    ("device/iam", "identity", 1, 32, None),  # None: the board's
    ("device/dev", "text", 1, 32, None),  # likewise
    ("ap/essid", "text", 0, 32, ""),  # "": named after the chip
    ("ap/authmode", "integer", 0, 9, 3),  # network.AUTH_WPA2_PSK
    ("ap/password", "password", 0, 63, ""),  # "": made at the first boot; no key of 64 digits
    ("ap/channel", "integer", 1, 13, 6),
    ("ap/hidden", "boolean", 0, 1, False),
    ("sta/ssid", "text", 0, 32, ""),
    ("sta/pass", "password", 0, 64, ""),
    # app.json
    ("app", "text", 1, 32, "demo"),
    ("http/ip", "text", 1, 64, "0.0.0.0"),
    ("http/port", "integer", 0, 65535, 80),
    ("http/names", "names", 0, 8, ()),  # further host names that it is reached by
    ("http/proxy", "text", 0, 64, ""),  # address of a reverse proxy whose X-Forwarded-* count
    ("https/ip", "text", 1, 64, "0.0.0.0"),
    ("https/port", "integer", 0, 65535, 0),  # 0: no HTTPS
    ("https/cert", "text", 1, 64, "/cert.pem"),
    ("https/key", "text", 1, 64, "/key.pem"),
    ("https/redirect", "boolean", 0, 1, False),
    (
        "https/hsts",
        "integer",
        0,
        63_072_000,
        0,
    ),  # seconds that browsers insist on it
    ("portal/dns_port", "integer", 0, 65535, 53),  # 0: the page doesn't open by itself
    ("websocket/ip", "text", 1, 64, "0.0.0.0"),
    ("websocket/port", "integer", 0, 65535, 7777),
    ("home/ip", "text", 0, 64, ""),
    ("home/host", "text", 0, 64, ""),  # "" here and in ip: no phone home
    ("home/port", "integer", 1, 65535, 7770),
    ("home/path", "path", 0, 128, ""),  # "": /<iam>
    ("home/token", "path", 0, 128, ""),  # for Authorization: Bearer, "": none
    ("home/rights", "right", 0, 0, "control"),  # what the relay may do, of rights.RIGHTS
    ("home/tls", "boolean", 0, 1, None),  # None: with a token, which else would be in the clear
    ("home/ca", "text", 1, 64, "/home_ca.pem"),  # whom to trust, in PEM or DER
    ("home/key", "digest", 0, 64, ""),  # or the relay's key: SHA-256 of its SubjectPublicKeyInfo
    ("home/ping_interval", "number", 0.1, 3600, 20),  # seconds
    ("home/ping_timeout", "number", 0.1, 3600, 20),
    ("interfaces", "list", 0, 0, None),  # None: the interfaces package's default
    ("limits/connections", "integer", 1, 1000, None),  # None: the board's
    ("limits/secure_connections", "integer", 1, 1000, None),  # likewise
    ("echoserver/listen_addr", "text", 1, 64, "0.0.0.0"),
    ("echoserver/listen_port", "integer", 0, 65535, 7777),
    ("echoserver/max_size", "integer", 125, 16_777_216, 32_768),
)


def check(kind, least, most, value):
    """Check a value by a line of `_FIELDS`.

    Returns:
        The value.

    Raises:
        ValueError: the text says what it must be.
    """
    if kind == "list":
        if not isinstance(value, list):
            raise ValueError("must be a list")
    elif kind == "names":
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"must be a list of at most {most} names")
        for name in value:
            _check_text("identity", 1, 253, name)
    elif kind in ("boolean", "integer", "number", "text"):
        check_field(kind, least, most, value)
    else:
        _check_text(kind, least, most, value)
    return value


def is_app_name(name):
    """Whether an app can have this name, which becomes that of a module: not one with a dot or a
    slash, which would reach outside of its folders."""
    if not name or name == "www":  # where everybody's uploads are
        return False
    return all(c == "_" or c.isalpha() or c.isdigit() for c in name)


def _check_text(kind, least, most, value):
    if kind == "right":
        from .rights import RIGHTS

        if value not in RIGHTS:
            raise ValueError("must be read, control, settings or admin")
        return
    check_text(least, most, value)
    if kind == "password":
        from .credentials import check_password

        check_password(value)
    elif kind == "digest":
        if value and (len(value) != 64 or any(c not in "0123456789abcdef" for c in value.lower())):
            raise ValueError("must have 64 hexadecimal digits")
    elif kind == "path":
        if any(ord(c) < 33 or ord(c) > 126 for c in value):
            raise ValueError("must have only printable ASCII characters")
    elif kind == "identity":
        # It becomes a path at the relay and a host name.
        for c in value:
            if not ("a" <= c.lower() <= "z" or c.isdigit() or c in "-_."):
                raise ValueError("must have only letters, digits, -, _ and .")


def _default(path):
    value = _field(path)[4]
    if value is not None:
        return value
    if path == "device/iam":
        return board.IAM
    if path == "device/dev":
        return board.DEV
    if path == "limits/connections":
        return board.CONNECTIONS
    if path == "limits/secure_connections":
        return board.SECURE_CONNECTIONS
    return None


# Written to SECRETS only; read from the file of their neighbours too, where a person may have put
# them.
_SECRET = ("ap/password", "sta/pass", "home/token")

# The objects of NETWORK; all others are in APP.
_OF_NETWORK = ("device", "ap", "sta")

# Known in the files of the example that this product's file formats come from, and not used.
_IGNORED = ("wsserver",)


class Config:
    """The configuration as it is on flash, with `overrides` above it.

    Args:
        overrides: dict of values by path that win and are never saved (the host's arguments).

    Attributes:
        problems: one line for each thing in the files that isn't used.
    """

    def __init__(self, overrides=None):
        self.problems = []
        self._overrides = overrides or {}
        self._changed = set()
        self._before = None  # (files as JSON, values) since the last save
        self._files = {}
        for name in (NETWORK, APP, SECRETS):
            self._files[name] = storage.load(name, self.problems.append)
        app = self._files[APP].get("app")
        # The device's own section is used by every app, and by what runs in place of a failed one.
        self._sections = ("demo",) if app == "demo" or not isinstance(app, str) else (app, "demo")
        self._values = {}
        for field in _FIELDS:
            self._load(field)
        self._report_unknown()

    def get(self, path, default=False):
        """The value of a field, one of those above.

        Args:
            default: the value that it has when nothing says another.

        Raises:
            KeyError: there is no such field.
        """
        if not default:
            if path in self._overrides:
                return self._overrides[path]
            if path in self._values:
                return self._values[path]
        return _default(path)

    def forced(self, name):
        """What the start says that is no field, such as "access/opened"; False by default."""
        return self._overrides.get(name, False)

    def set(self, path, value):
        """Change a field; `save` makes it last, or takes it back.

        Raises:
            KeyError: there is no such field.
            ValueError: the value can't be used; the text says what it must be.
        """
        _, kind, least, most, _ = _field(path)
        check(kind, least, most, value)
        if path == "app" and not is_app_name(value):
            raise ValueError("must have only letters, digits and _")
        if path == "interfaces":
            from interfaces import check_all

            check_all(value, self.get("interfaces") or ())
        from .together import check as check_together

        check_together(path, value, self.get)
        if self._before is None:
            self._before = json.dumps(self._files), dict(self._values)
        if path == "sta/ssid" and value != self.get(path):
            # A password belongs to its network: it is looked up anew.
            self._forget("sta/pass")
            self._put("sta/ssid", value)
            known = self._files[SECRETS].get("sta")
            if isinstance(known, dict) and value in known:
                self._values["sta/pass"] = known[value]
        elif path in _SECRET:
            self._forget(path)
            self._set_secret(path, value)
        else:
            self._put(path, value)
        self._values[path] = value

    def save(self):
        """Write the files that changed.

        Secrets go first: a power cut between leaves the new password beside the old network, whose
        own password is kept.

        Raises:
            OSError, MemoryError: flash is full or failing. What has changed since the last time is
                taken back, here and on flash.
        """
        saved = []
        try:
            for name in (SECRETS, NETWORK, APP):
                if name in self._changed:
                    storage.save(name, self._files[name])
                    saved.append(name)
        except (OSError, MemoryError):
            files, self._values = self._before
            self._files = json.loads(files)
            for name in saved:
                storage.undo(name)
            raise
        finally:
            self._changed.clear()
            self._before = None

    def section(self, name):
        """The object of an app in app.json, as it is; for apps that bring fields of their own."""
        value = self._files[APP].get(name)
        return value if isinstance(value, dict) else {}

    def factory_reset(self):
        """Remove all files, and a chip's copies of them; the next boot is a first boot.

        Raises:
            OSError: some are still there.
        """
        if board.chip is not None:
            from .copies import forget

            forget(board.chip.store)
        failure = None
        for name in (NETWORK, APP, SECRETS, ADMIN, TOKENS):
            try:
                storage.erase(name)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure

    # Where a field is kept

    def _objects(self, path):
        # The objects in which a field may stand, the most particular first.
        top = self._files[_file_of(path)]
        if top is self._files[NETWORK]:
            return [top]
        sections = [top.get(name) for name in self._sections if name != path.split("/")[0]]
        return [section for section in sections if isinstance(section, dict)] + [top]

    def _load(self, field):
        path, kind, least, most, _ = field
        value = None
        for tree in self._objects(path):
            value = _walk(tree, path)
            if value is not None:
                break
        else:
            value = self._secret(path)
        if value is not None:
            try:
                self._values[path] = check(kind, least, most, value)
            except ValueError as error:
                self.problems.append(f"{path} {error}")

    def _put(self, path, value):
        objects = self._objects(path)
        head, _, rest = path.partition("/")
        tree = objects[-1]
        for candidate in objects:
            if head in candidate:
                tree = candidate
                break
        if rest:
            if not isinstance(tree.get(head), dict):
                tree[head] = {}
            tree[head][rest] = value
        else:
            tree[head] = value
        self._changed.add(_file_of(path))

    def _forget(self, path):
        head, _, rest = path.partition("/")
        self._values.pop(path, None)
        for top in self._objects(path):
            tree = top.get(head)
            if isinstance(tree, dict) and tree.pop(rest, None) is not None:
                self._changed.add(_file_of(path))

    def _secret(self, path):
        secrets = self._files[SECRETS]
        if path == "sta/pass":
            known = secrets.get("sta")
            return known.get(self._values.get("sta/ssid")) if isinstance(known, dict) else None
        return secrets.get(path) if path in _SECRET else None

    def _set_secret(self, path, value):
        secrets = self._files[SECRETS]
        if path == "sta/pass":
            # By network, and the one before it: see save().
            known = secrets.get("sta")
            previous = storage.load(NETWORK, lambda problem: None).get("sta")
            kept = {}
            if isinstance(known, dict) and isinstance(previous, dict):
                name = previous.get("ssid")
                if name in known:
                    kept[name] = known[name]
            kept[self.get("sta/ssid")] = value
            secrets["sta"] = kept
        else:
            secrets[path] = value
        self._changed.add(SECRETS)

    def _report_unknown(self):
        known = [path for path, _, _, _, _ in _FIELDS]
        heads = [path.split("/")[0] for path in known]
        network, app = self._files[NETWORK], self._files[APP]
        self._report_in(network, "network.json", known, _IGNORED)
        # An object that isn't ours may be an app's.
        others = [key for key in app if isinstance(app[key], dict) and key not in heads]
        self._report_in(app, "app.json", known, others)
        if isinstance(app.get("demo"), dict):
            self._report_in(app["demo"], "app.json demo", known, ())

    def _report_in(self, tree, place, known, others):
        for key in sorted(tree):
            value = tree[key]
            if key in others or key in known:
                continue
            if isinstance(value, dict):
                unknown = [key + "/" + name for name in sorted(value)]
            elif any(path.startswith(key + "/") for path in known):
                self.problems.append(f"{place}: {key} must be an object")
                continue
            else:
                unknown = [key]
            for path in unknown:
                if path not in known:
                    self.problems.append(f"{place}: unknown field {path}")


def _file_of(path):
    # Of a secret: the one that a person may have put it into.
    return NETWORK if path.partition("/")[0] in _OF_NETWORK else APP


def _field(path):
    for field in _FIELDS:
        if field[0] == path:
            return field
    raise KeyError(path)


def _walk(tree, path):
    for key in path.split("/"):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree
