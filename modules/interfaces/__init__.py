"""What the device talks to: the registry of interfaces and the making of configured ones.

`app.json` lists interfaces, each an object with `name`, `type`, optionally `title` and `start`,
and the options of its type:

    "interfaces": [
        {"name": "fake_interface", "type": "echo"},
        {"name": "meter", "type": "uart", "title": "Power meter", "id": 1, "baudrate": 9600},
        {"name": "relay", "type": "gpio", "pin": 4, "start": false}
    ]

A type is one of `TYPES`, or the dotted name of a class derived from `interfaces.base.Interface`
in a module or package of the device's filesystem: "thermometer.Thermometer".
"""

import sys

from fields import BadField
from lazy import add_user_folders

from interfaces.base import Interface

# Type, its class; the module is imported when an interface of that type is first made. Literals,
# which stay in flash.
TYPES = (
    ("adc", "interfaces.adc.Adc"),
    ("counter", "interfaces.counter.PulseCounter"),
    ("echo", "interfaces.echo.Echo"),
    ("gpio", "interfaces.gpio.Gpio"),
    ("pwm", "interfaces.pwm.Pwm"),
    ("uart", "interfaces.uart.Uart"),
)

# A chip has two free UARTs and some 20 pins; each interface costs a task and a card on the page.
INTERFACES_MAX = 16
NAME_MAX = 32

# State keys begin with the interface's name; these begin the device's own.
RESERVED_NAMES = ("wifi", "lan", "home")


def create(config, emit, taken=None, others=()):
    """Make the interface that `config`, one entry of "interfaces", describes.

    `emit(key, value)` is called with keys that begin with the interface's name: "relay/value" and
    the like are state, "relay/msg" is an event.

    Args:
        taken: what of the chip others have, "GPIO 4" -> whose it is; this one's is added.
        others: the interfaces beside it, whose names it can't have.

    Raises:
        ValueError: the entry can't be used; the text names the interface and the field.
    """
    if not isinstance(config, dict):
        raise ValueError("an interface must be an object with name and type")
    options = dict(config)
    name = options.pop("name", None)
    _check_name(name)
    if any([name == other.name for other in others]):
        raise BadField("name", f"interface {name}: there are two of that name")
    type_name = options.pop("type", None)
    try:
        make = class_of(type_name)
        interface = make(name, emit, **options)
        try:
            claimed = claims_of(interface, taken or {})
            interface.description = _described(interface, _path(type_name) is None)
        except (Exception, SystemExit):
            interface.forget()
            raise
    except (ValueError, TypeError) as error:
        raise BadField(getattr(error, "field", None), f"interface {name}: {error}")
    except (Exception, SystemExit) as error:
        # Whatever a user's class does wrong: the device has to start without it.
        sys.print_exception(error, sys.stderr)
        raise ValueError(f"interface {name}: {error!r}")
    if taken is not None:
        for thing in claimed:
            taken[thing] = name
    return interface


def claims_of(interface, taken):
    """What of the chip the interface has, for it alone: "GPIO 4", "UART 1".

    Raises:
        BadField: others have it, or nobody can.
    """
    claimed = []
    for option, kind, number in interface.claims():
        from board import MACHINE

        from .pins import refusal

        thing = f"UART {number}" if kind == "uart" else f"GPIO {number}"
        problem = refusal(MACHINE, kind, number)
        if not problem and thing in taken:
            problem = f"{thing} is used by {taken[thing]}"
        if not problem and thing in claimed:
            problem = f"{thing} can't be two things"
        if problem:
            raise BadField(option, f"{option}: {problem}")
        claimed.append(thing)
    return claimed


def entries_of(configs, report):
    """The entries of `configs`, the value of "interfaces", or the default ones for None.

    What is not a list, or too many, is left out, and `report(text)` called with the reason.
    """
    if configs is None:
        return [{"name": "fake_interface", "type": "echo"}]
    if not isinstance(configs, list):
        report("interfaces must be a list")
        return []
    if len(configs) > INTERFACES_MAX:
        report(f"interfaces: only the first {INTERFACES_MAX} are used")
    return configs[:INTERFACES_MAX]


def check_all(configs, known=()):
    """Check a value of "interfaces" as far as that goes without making any.

    Args:
        known: entries that were there before, which need not be right.

    Raises:
        ValueError: the text says what is wrong.
    """
    if len(configs) > INTERFACES_MAX:
        raise ValueError(f"must be up to {INTERFACES_MAX}")
    names = set()
    for config in known:
        if config in configs and isinstance(config, dict) and isinstance(config.get("name"), str):
            names.add(config["name"])
    for config in configs:
        if config in known:
            continue
        if not isinstance(config, dict):
            raise ValueError("must be objects with name and type")
        name, type_name = config.get("name"), config.get("type")
        _check_name(name)
        if name in names:
            raise BadField("name", f"interface {name}: there are two of that name")
        names.add(name)
        if not isinstance(type_name, str) or not (_path(type_name) or "." in type_name):
            raise BadField("type", f"interface {name}: unknown type {type_name}")


def _described(interface, is_users):
    # For pages, see docs/protocol.md; "message_help" is of one that says what it takes, "values"
    # are rows of key, unit, decimals, least and most.
    entry = {
        "name": interface.name,
        "type": interface.type,
        "title": interface.title,
        "connection": interface.connection(),
    }
    if interface.takes_messages:
        entry["takes_messages"] = True
    if interface.message_help:
        entry["message_help"] = interface.message_help
    values = interface.values()
    if values:
        entry["values"] = values
    if is_users:
        from .values import carried

        if values:
            entry["values"] = [list(value) for value in values]
        entry = carried(entry)  # it goes to every client, as its values do
    return entry


def _check_name(name):
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX:
        raise BadField("name", f"an interface needs a name of 1 to {NAME_MAX} characters")
    if not _consists_of(name, "_-"):
        raise BadField("name", f"interface {name}: a name has letters, digits, _ and - only")
    if name in RESERVED_NAMES:
        raise BadField("name", f"interface {name}: the name is taken by the device")


def _consists_of(text, others):
    """Whether `text` has only letters, digits and characters of `others`."""
    return all(c.isalpha() or c.isdigit() or c in others for c in text)


def class_of(type_name):
    """The class for a type.

    Raises:
        ValueError: there is none, or it can't be imported.
    """
    if not isinstance(type_name, str) or not type_name:
        raise BadField("type", "type is missing")
    path = _path(type_name)
    module_name, dot, class_name = (path or type_name).rpartition(".")
    # The import must not be led out of the search path by a name with other characters.
    if not dot or not _consists_of(module_name, "_."):
        raise BadField("type", f"unknown type {type_name}")
    if not path:
        add_user_folders()
    try:
        module = __import__(module_name, None, None, (class_name,))
    except (Exception, SystemExit) as error:
        # Whatever a user's module does wrong: the device has to start without it.
        sys.print_exception(error, sys.stderr)
        raise ValueError(f"can't import {module_name}: {error!r}")
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Interface):
        raise ValueError(f"{type_name} is not a class derived from interfaces.base.Interface")
    return found


def _path(type_name):
    for name, path in TYPES:
        if name == type_name:
            return path
    return None
