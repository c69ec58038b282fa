"""The configuration: `network.json`, `app.json` and the secrets, checked field by field.

A field's path joins its keys: `sta/ssid` is "ssid" in the object "sta". A field that is unknown
or bad is reported (`problems`) and its default used; nothing in these files stops the device.

`app.json` may keep the fields of an app in an object with the app's name
(`{"demo": {"http": {"port": 80}}}`) or at the top (`{"http": {"port": 80}}`).
"""

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


_AP_MODE = "always; needed: while no stored network answers; never: only until one is stored"

# Path, kind, least, most, default, whether a change is used at once, help. Bounds are bytes of a
# text, else of the value itself. One tuple of literals, which stays in flash.
FIELDS = (
    # network.json: what the device is called, the networks that it makes and joins.
    ("device/iam", "identity", 1, 32, None, False, "Its name, also on the network"),  # the board's
    ("device/dev", "text", 1, 32, None, True, "What kind of device it is"),  # likewise
    ("device/led", "integer", -1, 48, -1, True, "GPIO of an LED that answers BOOT; -1: none"),
    ("ap/essid", "text", 0, 32, "", False, "Network name; empty: named after the chip"),
    ("ap/authmode", "integer", 0, 9, 3, False, "0: open, 3: WPA2, 4: WPA or WPA2, 6: WPA3"),
    ("ap/password", "password", 0, 63, "", False, "Empty: one is made"),  # no key of 64 digits
    ("ap/channel", "integer", 1, 13, 6, False, "Radio channel"),
    ("ap/mode", "choice", ("always", "needed", "never"), None, "always", True, _AP_MODE),
    ("ap/hidden", "boolean", 0, 1, False, False, "Phones don't list the network"),
    ("sta/ssid", "text", 0, 32, "", True, "Network that the device joins"),
    ("sta/pass", "password", 0, 64, "", True, "Its password"),
    ("sta/more", "ssids", 0, 7, (), True, "Networks that it joins else, in this order"),
    ("sta/ip", "address", 0, 15, "", True, "Own address; empty: by DHCP"),
    ("sta/mask", "address", 0, 15, "255.255.255.0", True, "Netmask of that"),
    ("sta/gateway", "address", 0, 15, "", True, "Gateway of that"),
    ("sta/dns", "address", 0, 15, "", True, "DNS server of that"),
    ("wifi/country", "country", 0, 2, "", False, "Two letters, for the radio's channels"),
    # app.json
    ("app", "text", 1, 32, "demo", False, "What runs: demo is the device itself"),
    ("http/ip", "text", 1, 64, "0.0.0.0", False, "Own address to listen at; 0.0.0.0: all"),
    ("http/port", "integer", 0, 65535, 80, False, "Port of the page"),
    ("http/names", "names", 0, 8, (), True, "Further host names of the device"),
    ("http/proxy", "text", 0, 64, "", True, "Reverse proxy whose X-Forwarded headers count"),
    ("https/ip", "text", 1, 64, "0.0.0.0", False, "Own address to listen at; 0.0.0.0: all"),
    ("https/port", "integer", 0, 65535, 0, False, "Port, usually 443; 0: no HTTPS"),
    ("https/cert", "text", 1, 64, "/cert.pem", False, "File with the certificate"),
    ("https/key", "text", 1, 64, "/key.pem", False, "File with its key"),
    ("https/redirect", "boolean", 0, 1, False, False, "Send who comes by HTTP to HTTPS"),
    ("https/hsts", "integer", 0, 63_072_000, 0, True, "Seconds that browsers insist on HTTPS"),
    ("portal/dns_port", "integer", 0, 65535, 53, False, "0: the page doesn't open by itself"),
    ("websocket/ip", "text", 1, 64, "0.0.0.0", False, "Own address to listen at; 0.0.0.0: all"),
    ("websocket/port", "integer", 0, 65535, 7777, False, "Port of WebSockets for scripts"),
    ("home/ip", "text", 0, 64, "", True, "Address of the relay, where it has no name"),
    ("home/host", "text", 0, 256, "", True, "Relays, the first is preferred; empty: none"),
    ("home/port", "integer", 1, 65535, 7770, True, "Port of the relay"),
    ("home/path", "path", 0, 128, "", True, "Path at the relay; empty: the device's name"),
    ("home/token", "path", 0, 128, "", True, "Token that the relay asks for"),
    ("home/rights", "right", 0, 0, "control", True, "What the relay may do"),
    ("home/tls", "boolean", 0, 1, None, True, "Encrypted; by default with a token"),
    ("home/ca", "text", 1, 64, "/home_ca.pem", True, "File with the authority to trust"),
    ("home/key", "digest", 0, 64, "", True, "Or SHA-256 of the relay's public key"),
    ("home/interval", "number", 0, 3600, 0.2, True, "Seconds between changes that it is told"),
    ("home/ping_interval", "number", 0.1, 3600, 20, True, "Seconds between signs of life"),
    ("home/ping_timeout", "number", 0.1, 3600, 20, True, "Seconds until it counts as gone"),
    ("time/server", "text", 0, 64, None, False, "Time server; empty: none"),  # the board's
    ("time/port", "integer", 1, 65535, 123, False, "Its port"),
    ("time/zone", "text", 0, 40, "", True, "As Europe/Berlin, for pages; empty: the browser's"),
    ("interfaces", "list", 0, 0, None, True, ""),  # None: the interfaces package's default
    ("limits/connections", "integer", 1, 1000, None, False, "Clients at a time"),  # the board's
    ("limits/secure_connections", "integer", 1, 1000, None, False, "Those with HTTPS"),  # likewise
    ("echoserver/listen_addr", "text", 1, 64, "0.0.0.0", False, "Own address to listen at"),
    ("echoserver/listen_port", "integer", 0, 65535, 7777, False, "Port of the echo server"),
    ("echoserver/max_size", "integer", 125, 16_777_216, 32_768, False, "Bytes of a message"),
)


def check(kind, least, most, value):
    """Check a value by a line of `FIELDS`.

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
    elif kind == "ssids":
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"must be a list of at most {most} networks")
        from .credentials import check_ssid

        for ssid in value:
            check_ssid(ssid)
    elif kind in ("boolean", "integer", "number", "text", "choice"):
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
    elif kind == "address":
        parts = value.split(".")
        if value and not (len(parts) == 4 and all([p.isdigit() and int(p) < 256 for p in parts])):
            raise ValueError("must be an address such as 192.168.1.20")
    elif kind == "country":
        if value and not (len(value) == 2 and value.isalpha() and value.isupper()):
            raise ValueError("must be two capital letters")
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
    value = field(path)[4]
    if value is not None:
        return value
    if path == "device/iam":
        return board.IAM
    if path == "device/dev":
        return board.DEV
    if path == "time/server":
        return board.TIME_SERVER
    if path == "limits/connections":
        return board.CONNECTIONS
    if path == "limits/secure_connections":
        return board.SECURE_CONNECTIONS
    return None


# Written to SECRETS only; read from the file of their neighbours too, where a person may have put
# them.
SECRET = ("ap/password", "sta/pass", "home/token")

# The objects of NETWORK; all others are in APP.
_OF_NETWORK = ("device", "ap", "sta", "wifi")

# Known in the files of the example that this product's file formats come from, and not used.
_IGNORED = ("wsserver",)


class Config:
    """The configuration as it is on flash, with `overrides` above it.

    Args:
        overrides: dict of values by path that win and are never saved (the host's arguments).

    Attributes:
        problems: one line for each thing in the files that isn't used.
        files, values, changed, before: what `changes` works on: the files' content by name, the
            fields' values by path, names of files that aren't saved, and what was before.
    """

    def __init__(self, overrides=None):
        self.problems = []
        self._overrides = overrides or {}
        self.changed = ()
        self.before = None  # (files as JSON, values) since the last save
        self.files = {}
        for name in (NETWORK, APP, SECRETS):
            self.files[name] = storage.load(name, self.problems.append)
        app = self.files[APP].get("app")
        # The device's own section is used by every app, and by what runs in place of a failed one.
        self._sections = ("demo",) if app == "demo" or not isinstance(app, str) else (app, "demo")
        self.values = {}
        for row in FIELDS:
            self._load(row)
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
            if path in self.values:
                return self.values[path]
        return _default(path)

    def networks(self):
        """The stored networks in their order: a list of (SSID, password)."""
        ssid = self.get("sta/ssid")
        if not ssid:
            return []
        known = self.files[SECRETS].get("sta")
        passwords = known if isinstance(known, dict) else {}
        more = [(other, passwords.get(other) or "") for other in self.get("sta/more")]
        return [(ssid, self.get("sta/pass"))] + more

    def forced(self, name):
        """What the start says that is no field, such as "access/opened"; False by default."""
        return self._overrides.get(name, False)

    def set(self, path, value):
        """Change a field; `save` makes it last, or takes it back.

        Raises:
            KeyError: there is no such field.
            ValueError: the value can't be used; the text says what it must be. Everything that
                isn't saved is as it was.
        """
        self.set_all({path: value})

    def set_all(self, changes):
        """Change fields, a dict by path: all of them, or none; None stands for the default.

        Raises:
            KeyError: there is no such field.
            BadField: a value can't be used, by itself or with the others.
        """
        from .changes import set_all

        set_all(self, changes)

    def save(self):
        """Write the files that changed.

        Raises:
            OSError, MemoryError: flash is full or failing. What has changed since the last time is
                taken back, here and on flash.
        """
        from .changes import save

        save(self)

    def factory_reset(self):
        """Remove all files, and a chip's copies of them; the next boot is a first boot.

        Raises:
            OSError: some are still there.
        """
        from .changes import factory_reset

        factory_reset()

    def section(self, name):
        """The object of an app in app.json, as it is; for apps that bring fields of their own."""
        value = self.files[APP].get(name)
        return value if isinstance(value, dict) else {}

    # Where a field is kept

    def objects(self, path):
        """The objects in which a field may stand, the most particular first."""
        top = self.files[file_of(path)]
        if top is self.files[NETWORK]:
            return [top]
        sections = [top.get(name) for name in self._sections if name != path.split("/")[0]]
        return [section for section in sections if isinstance(section, dict)] + [top]

    def _load(self, row):
        path, kind, least, most, _, _, _ = row
        value = None
        for tree in self.objects(path):
            value = _walk(tree, path)
            if value is not None:
                break
        else:
            value = self._secret(path)
        if value is not None:
            try:
                self.values[path] = check(kind, least, most, value)
            except ValueError as error:
                self.problems.append(f"{path} {error}")

    def _secret(self, path):
        secrets = self.files[SECRETS]
        if path == "sta/pass":
            known = secrets.get("sta")
            return known.get(self.values.get("sta/ssid")) if isinstance(known, dict) else None
        return secrets.get(path) if path in SECRET else None

    def _report_unknown(self):
        known = [row[0] for row in FIELDS]
        heads = [path.split("/")[0] for path in known]
        network, app = self.files[NETWORK], self.files[APP]
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


def file_of(path):
    """The file that a field is kept in."""
    # Of a secret: the one that a person may have put it into.
    return NETWORK if path.partition("/")[0] in _OF_NETWORK else APP


def field(path):
    """The row of the table for a field.

    Raises:
        KeyError: there is none.
    """
    for row in FIELDS:
        if row[0] == path:
            return row
    raise KeyError(path)


def _walk(tree, path):
    for key in path.split("/"):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree
