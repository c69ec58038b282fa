"""The command protocol: JSON text messages in, state and events out (docs/protocol.md).

A message is `["GET", item, args]` or `["CMD", item, args]`; `args` is a list and may be missing.
A fourth item is the `id` of the answer, which there always is then. Whatever is wrong with a
message is told to the client that sent it, as `{"error": "..."}`, and has no other effect.
"""

import gc
import json
from asyncio import create_task, sleep_ms

import board
import clock
from httpd.errors import ENOSPC
from interfaces.errors import NotRunning, QueueFull
from micropython import const
from strict_json import loads
from websockets import ConnectionClosed

from .log import lines, report
from .net.wifi_errors import WifiError, require_station
from .settings.config import field
from .settings.credentials import check
from .settings.rights import RIGHTS

# Longest command in bytes; the longest useful one, a message to an interface, is much shorter.
# Larger messages up to the connection's max_size are answered with an error, beyond it the
# connection is closed with 1009.
MAX_COMMAND = 4096

# What an error ends with that 507 stands for.
FULL = "flash is full"

# How much of a bad name is repeated in an error.
_QUOTE = 40

# Longest id of a request.
_MAX_ID = const(40)

FAKE_INTERFACE = "fake_interface"

# GOING_AWAY (RFC 6455 section 7.4.1).
_GOING_AWAY = const(1001)

# How long clients have to take their leave before the station does.
_PARTING_MS = const(1000)


# Places in RIGHTS.
_READ = const(0)
_CONTROL = const(1)
_SETTINGS = const(2)
_ADMIN = const(3)

# Verb, item, method of Commands, least and most arguments, right that it takes; literals, which
# stay in flash.
_ITEMS = (
    ("GET", "wifi", "get_wifi", 0, 0, _READ),
    ("GET", "state", "get_state", 0, 0, _READ),
    ("GET", "hal", "get_hal", 0, 0, _READ),
    ("GET", "log", "get_log", 0, 0, _READ),
    ("GET", "interfaces", "get_interfaces", 0, 0, _SETTINGS),
    ("GET", "kinds", "get_kinds", 0, 0, _READ),
    ("GET", "kind", "get_kind", 1, 1, _SETTINGS),
    ("CMD", "add_interface", "add_interface", 1, 1, _SETTINGS),
    ("CMD", "configure_interface", "configure_interface", 2, 2, _SETTINGS),
    ("CMD", "remove_interface", "remove_interface", 1, 1, _SETTINGS),
    ("CMD", "order_interfaces", "order_interfaces", 1, 1, _SETTINGS),
    ("CMD", "start_interface", "start_interface", 0, 1, _CONTROL),
    ("CMD", "stop_interface", "stop_interface", 0, 1, _CONTROL),
    ("CMD", "send_message", "send_message", 1, 2, _CONTROL),
    ("CMD", "hal", "get_hal", 0, 0, _READ),
    ("CMD", "scan", "scan", 0, 0, _SETTINGS),
    ("CMD", "test_new_sta", "test_new_sta", 1, 2, _SETTINGS),
    ("CMD", "store_new_sta", "store_new_sta", 1, 2, _SETTINGS),
    ("GET", "diagnostics", "get_diagnostics", 0, 0, _READ),
    ("GET", "recent", "get_recent", 1, 1, _READ),
    ("GET", "time", "get_time", 0, 0, _READ),
    ("CMD", "set_time", "set_time", 1, 1, _CONTROL),
    ("CMD", "join_sta", "join_sta", 1, 2, _SETTINGS),
    ("CMD", "forget_sta", "forget_sta", 1, 1, _SETTINGS),
    ("CMD", "order_sta", "order_sta", 1, 1, _SETTINGS),
    ("CMD", "reboot", "reboot", 0, 0, _CONTROL),
    ("CMD", "phone_home", "phone_home", 0, 0, _CONTROL),
    ("GET", "config", "get_config", 0, 1, _SETTINGS),
    ("CMD", "set", "set_fields", 1, 2, _SETTINGS),
    ("CMD", "factory_reset", "factory_reset", 0, 1, _ADMIN),
)

# What a change that is kept is answered with.
_SAVED = {"saved": "interfaces"}

# Fields that say who may do what, whom the device trusts, and which code runs.
_OF_ADMIN = ("app", "home/", "http/names", "http/proxy")


class CommandError(Exception):
    """A message that can't be carried out; the text is for the client.

    Attributes:
        field: the field that is wrong, where a message has several; None otherwise.
    """

    def __init__(self, text, field=None):
        super().__init__(text)
        self.field = field


class Commands:
    """Carries out commands.

    Args:
        hub: the `hub.Hub`.
        config: the `config.Config`.
        wifi: the `wifi.Wifi`.
        equipment: the `equipment.Equipment`.
        reboot: called to restart the device, after its clients were told.
        apply: called with the former values of fields that have changed, by their paths.
        home: called for the `net.home.Home`, None without one.
    """

    def __init__(self, hub, config, wifi, equipment, reboot, apply, home):
        self._hub = hub
        self._config = config
        self._wifi = wifi
        self._equipment = equipment
        self._restart = reboot
        self._apply = apply
        self._home = home
        self._done = None, None  # id and answer of the last request that may come twice

    async def handle(self, client, message, right, repeats=False):
        """Carry out one message.

        Args:
            client: whose message it is; has `async send(text)`.
            message: str, or bytes-like holding UTF-8.
            right: the client's, one of `rights.RIGHTS`.
            repeats: whether the client sends a request again that it has seen no answer to: one
                whose id is text, always the last of these. It is answered as it was then.
        """
        number = None
        try:
            request = decode(message)
            number = id_of(request)
            done, reply = self._done
            if not (repeats and number and number == done):
                reply = await self._carry_out(client, request, RIGHTS.index(right))
        except CommandError as error:
            reply = {"error": str(error)}
            if error.field:
                reply["field"] = error.field
        except MemoryError:
            gc.collect()
            reply = {"error": "out of memory"}
        except Exception as error:
            # A defect costs its sender an answer, not the connection.
            report("a command failed", error)
            reply = {"error": "the command failed, see the log"}
        if repeats and isinstance(number, str):
            self._done = number, reply
        if number is not None:
            answer = {"id": number}
            answer.update(reply or {})
            reply = answer
        if reply is not None:
            # Changes that the command made come before its answer.
            self._hub.flush()
            await client.send(json.dumps(reply))

    async def _carry_out(self, client, request, right):
        verb, item, arguments = parse(request)
        name, least, most, needed = _find(verb, item)
        if name == "set_fields" and arguments and _takes_admin(arguments[0]):
            needed = _ADMIN
        if right < needed:
            raise CommandError(f"{verb} {item} takes the right {RIGHTS[needed]}")
        if not least <= len(arguments) <= most:
            takes = f"{least} argument" if least == most else f"{least} to {most} argument"
            plural = "" if most == 1 else "s"
            raise CommandError(f"{verb} {item} takes {takes}{plural}, not {len(arguments)}")
        method = getattr(self, "_" + name)
        try:
            return await method(client, *arguments)
        except (ValueError, WifiError, NotRunning, QueueFull) as error:
            raise CommandError(f"{item}: {error}", getattr(error, "field", None))
        except OSError as error:
            problem = FULL if error.errno == ENOSPC else f"can't be saved ({error})"
            raise CommandError(f"{item}: {problem}")

    # GET

    async def _get_wifi(self, client):
        return self._wifi.status()

    async def _get_state(self, client):
        state = dict(self._hub.state)
        state["uptime"] = clock.seconds()
        return state

    async def _get_hal(self, client):
        return {"hal": self._hub.state["hal"]}

    async def _get_log(self, client):
        return {"log": lines()}

    # CMD

    def _interface(self, name):
        name = _text(name, "the interface's name")
        interface = self._equipment.find(name)
        if interface is None:
            raise CommandError(f"unknown interface {_quote(name)}")
        return interface

    async def _start_interface(self, client, name=FAKE_INTERFACE):
        interface = self._interface(name)
        if interface.running:
            return {interface.name + "/running": True}  # no change would say so
        await interface.start()
        return None

    async def _stop_interface(self, client, name=FAKE_INTERFACE):
        interface = self._interface(name)
        if interface.idle:
            return {interface.name + "/running": False}
        await interface.stop()
        return None

    async def _send_message(self, client, *arguments):
        name = arguments[0] if len(arguments) == 2 else FAKE_INTERFACE
        self._interface(name).send(_text(arguments[-1], "the message"))

    async def _get_interfaces(self, client):
        return {"interfaces": self._equipment.entries}

    async def _get_kinds(self, client):
        return {"kinds": _edits().kinds()}

    async def _get_kind(self, client, name):
        return {"kind": _edits().kind(_text(name, "the kind"))}

    async def _add_interface(self, client, entry):
        await _edits().add(self._equipment, entry)
        return _SAVED

    async def _configure_interface(self, client, name, entry):
        interface = self._interface(name)
        await _edits().configure(self._equipment, interface, entry)
        return _SAVED

    async def _remove_interface(self, client, name):
        await _edits().remove(self._equipment, self._interface(name))
        return _SAVED

    async def _order_interfaces(self, client, names):
        await _edits().order(self._equipment, names)
        return _SAVED

    async def _scan(self, client):
        require_station(self._wifi)
        self._hub.info("Looking for networks")
        networks = await self._wifi.scan()
        # Everybody's list changes, so that two pages don't scan twice.
        self._hub.event({"wifi/scan": networks})
        # Who asks by a request isn't told of events.
        return None if client in self._hub.clients else {"wifi/scan": networks}

    async def _test_new_sta(self, client, ssid, password=""):
        self._begin_test(client, "test_new_sta", ssid, password)

    async def _join_sta(self, client, ssid, password=""):
        self._begin_test(client, "join_sta", ssid, password)

    def _begin_test(self, client, item, ssid, password):
        ssid = _text(ssid, "the SSID")
        password = _text(password, "the password")
        check(ssid, password)
        require_station(self._wifi)
        # It takes up to half a minute: the client must be able to go on meanwhile.
        create_task(self._test(client, item, ssid, password))

    async def _test(self, client, item, ssid, password):
        self._hub.info("Testing network " + ssid)
        try:
            if item == "join_sta":
                from .net.wifi_orders import join

                good, reason = await join(self._wifi, ssid, password, self._part)
            else:
                good, reason = await self._wifi.test(ssid, password, self._part)
        except (WifiError, OSError) as error:
            try:
                await client.send(json.dumps({"error": f"{item}: {error}"}))
            except ConnectionClosed:
                pass
            return
        works = "works and is saved" if item == "join_sta" else "works"
        self._hub.info(f"Network {ssid}: " + (works if good else reason))

    async def _forget_sta(self, client, ssid):
        from .net.wifi_orders import forget

        forget(self._wifi, _text(ssid, "the SSID"))
        return {"saved": "networks"}

    async def _order_sta(self, client, ssids):
        from .net.wifi_orders import order

        order(self._wifi, ssids)
        return {"saved": "networks"}

    async def _part(self):
        """Tell those who are on the station's network that they are cut off now."""
        self._hub.flush()
        cut_off = []
        relay = self._hub.relay
        clients = list(self._hub.clients)
        for client in clients if relay is None else clients + [relay.connection]:
            address = client.remote_address
            if address is not None and board.over_station(address):
                client.start_closing(_GOING_AWAY, "testing another network")
                cut_off.append(client)
        # For what was written to arrive, a response by HTTP too.
        for _ in range(_PARTING_MS // 100):
            await sleep_ms(100)
            if not any([client.transport is not None for client in cut_off]):
                break

    async def _store_new_sta(self, client, ssid, password=""):
        self._wifi.store(_text(ssid, "the SSID"), _text(password, "the password"))
        self._hub.info(f"Network {ssid} is saved")

    async def _get_config(self, client, group=None):
        from .settings import edits

        if group is None:
            return {"groups": edits.groups()}
        return {"config": edits.group(self._config, _text(group, "the group"))}

    async def _set_fields(self, client, *arguments):
        if len(arguments) == 2:
            changes = {_text(arguments[0], "the key"): arguments[1]}
        else:
            changes = arguments[0]
            if not isinstance(changes, dict) or not changes:
                raise CommandError("set: several fields must be an object of values by key")
        await self._set_all(changes)
        if len(arguments) == 1:
            return {"saved": "config"}
        return None

    async def _set_all(self, changes):
        if "interfaces" in changes:
            if len(changes) > 1:
                raise CommandError("set: interfaces must be set alone")
            if not isinstance(changes["interfaces"], list):
                raise CommandError("set: interfaces must be a list")
            await _edits().apply(self._equipment, changes["interfaces"])
            return
        config = self._config
        try:
            before = {key: config.get(key) for key in changes}
            if "device/led" in changes:
                _edits().check_led(self._equipment, changes["device/led"])
            config.set_all(changes)
        except KeyError as error:
            raise CommandError(f"set: unknown key {_quote(error.args[0])}")
        except ValueError as error:
            named = error.field if len(changes) > 1 else None
            raise CommandError(f"set: {error.field} {error}", named)
        config.save()
        self._apply(before)
        for key in changes:
            used = "and used" if field(key)[5] else "and will be used after a reboot"
            self._hub.info(f"{key} is saved {used}")

    async def _get_diagnostics(self, client):
        from .diagnostics import diagnose

        return {"diagnostics": diagnose(self._hub)}

    async def _get_recent(self, client, name):
        return {"recent": list(self._interface(name).recent)}

    async def _get_time(self, client):
        state = self._hub.state
        return {
            "uptime": clock.seconds(),
            "boot_time": state.get("boot_time"),
            "time_source": state.get("time_source"),
        }

    async def _set_time(self, client, now):
        from .wallclock import take

        take(self._hub, now, "page")

    async def _reboot(self, client):
        self._hub.info("Rebooting")
        self._restart()

    async def _phone_home(self, client):
        home = self._home()
        if home is None:
            raise CommandError("phone_home: there is no relay: set home/host")
        home.phone_now()

    async def _factory_reset(self, client, what="everything"):
        if what == "access":
            from .startup.button import reset_access

            reset_access()
            self._hub.info("Password and access point are reset. Rebooting")
        elif what == "everything":
            self._config.factory_reset()
            self._hub.info("The settings are erased. Rebooting")
        else:
            raise CommandError('factory_reset takes "access", or "everything"')
        self._restart()


def _takes_admin(what):
    # A field, or several by their paths.
    keys = what if isinstance(what, dict) else (what,)
    return any([str(key).startswith(_OF_ADMIN) for key in keys])


def _edits():
    from . import interface_edits

    return interface_edits


def _find(verb, item):
    known = False
    for known_verb, known_item, name, least, most, right in _ITEMS:
        if known_verb == verb:
            known = True
            if known_item == item:
                return name, least, most, right
    if known:
        raise CommandError(f"unknown {verb} item {_quote(item)}")
    raise CommandError(f"unknown request {_quote(verb)}: use GET or CMD")


def decode(message):
    """The request in a message: a list of two to four items.

    Args:
        message: str, or bytes-like holding UTF-8.

    Raises:
        CommandError: what is wrong with it.
    """
    if len(memoryview(message)) > MAX_COMMAND:
        raise CommandError(f"message over {MAX_COMMAND} bytes")
    if not isinstance(message, str):
        try:
            message = str(message, "utf-8")
        except UnicodeError:
            raise CommandError("message is not UTF-8")
    try:
        request = loads(message)
    except ValueError as error:
        raise CommandError(f"message is not JSON ({error}): {_quote(message)}")
    if not isinstance(request, list):
        raise CommandError('message is not a list like ["GET", "wifi", []]')
    if not 2 <= len(request) <= 4:
        raise CommandError(f"message has {len(request)} items instead of 2 to 4")
    return request


def id_of(request):
    """The id of a request's answer, None without one.

    Raises:
        CommandError: it can't be one.
    """
    number = request[3] if len(request) == 4 else None
    if isinstance(number, str) and 0 < len(number) <= _MAX_ID:
        return number
    if number is None or (isinstance(number, int) and not isinstance(number, bool)):
        return number
    raise CommandError(f"the id must be a whole number, or text of 1 to {_MAX_ID} characters")


def parse(request):
    """Take a request apart.

    Returns:
        (verb, item, arguments).

    Raises:
        CommandError: what is wrong with it.
    """
    verb, item = request[:2]
    arguments = request[2] if len(request) > 2 else None
    if arguments is None:
        arguments = []
    for value, what in ((verb, "first"), (item, "second")):
        if not isinstance(value, str):
            raise CommandError(f"the {what} item must be text")
    if not isinstance(arguments, list):
        raise CommandError("the arguments must be a list")
    return verb, item, arguments


def _text(value, what):
    if not isinstance(value, str):
        raise CommandError(f"{what} must be text")
    return value


def _quote(text):
    return repr(text if len(text) <= _QUOTE else text[:_QUOTE] + "...")
