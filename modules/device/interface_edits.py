"""Changes of the list of interfaces, and what a page needs to know of their kinds for a form."""

import asyncio
import gc
import sys

import interfaces
from board import MACHINE
from fields import BadField
from interfaces.pins import refusal
from interfaces.unusable import unusable
from interfaces.values import carried
from lazy import unload
from micropython import const

from .log import log

# How long an interface may take to end before its successor begins.
_STOP_MS = const(5000)

# What there is no memory for is tried again after so long.
_RETRY_MS = const(100)

_changing = asyncio.Lock()


async def apply(equipment, entries, changes=None):
    """Have these interfaces from now on, and after a restart: all of them, or none.

    Those whose entry is the same go on as they are.

    Args:
        changes: other fields of the configuration to change with them, see `Config.set_all`.

    Raises:
        ValueError: an entry that is new can't be used; `field` is the option's name.
        OSError, MemoryError: it can't be saved.
    """
    # Not `async with`: leaving it takes memory, and without that the lock stays for ever.
    await _changing.acquire()
    try:
        changes = dict(changes or {})
        made = _made(equipment, entries, changes)
        # None stays: these are the default ones.
        changes.setdefault("interfaces", entries)
        equipment.config.set_all(changes)
        equipment.config.save()
        before = equipment.all
        equipment.all = [interface for interface, _ in made]
        equipment.entries = entries
        for interface in before:
            if interface not in equipment.all:
                await _surely(_end, interface)
        for interface, outlet in made:
            if outlet is not None:
                await _surely(_begin, equipment, interface, outlet)
        await _surely(_list, equipment)
    finally:
        _changing.release()
    gc.collect()


def check_led(equipment, number):
    """See that the LED's pin is no interface's.

    Raises:
        BadField: it is one's, or none that can be an output.
    """
    if type(number) is not int or number < 0:
        return  # no LED, or for others to complain of
    problem = refusal(MACHINE, "output", number)
    for interface in equipment.all:
        if f"GPIO {number}" in interfaces.claims_of(interface, {}):
            problem = f"GPIO {number} is used by {interface.name}"
    if problem:
        raise BadField("device/led", problem)


def _made(equipment, entries, changes):
    # (interface, outlet) for each entry; None for the outlet of one that stays.
    interfaces.check_all(entries, equipment.entries)
    taken = equipment.taken(changes)
    staying = {}
    for interface, own in zip(equipment.all, equipment.entries):
        if interface.usable and own in entries:
            staying[interface.name] = interface
            for thing in interfaces.claims_of(interface, {}):
                if thing in taken:
                    raise BadField("device/led", f"{thing} is used by {interface.name}")
                taken[thing] = interface.name
    made = []
    for entry in entries:
        # Of two that are the same, the second never came to be.
        interface = staying.pop(entry.get("name"), None) if isinstance(entry, dict) else None
        outlet = None
        if interface is None:
            outlet = _Outlet()
            others = [each for each, _ in made]
            try:
                interface = interfaces.create(entry, outlet, taken, others)
            except ValueError as error:
                if entry not in equipment.entries:
                    raise
                # As it was before.
                interface = unusable(entry, others, str(error), outlet)
        made.append((interface, outlet))
    return made


class _Outlet:
    # Holds back what an interface publishes until it is known to be the device's.

    def __init__(self):
        self._held = []
        self._publish = None

    def __call__(self, key, value):
        if self._publish is None:
            self._held.append((key, value))
        else:
            self._publish(key, value)

    def open(self, publish):
        self._publish = publish
        for key, value in self._held:
            publish(key, value)
        self._held = ()


async def _surely(step, *arguments):
    # What is saved is done, when there is the memory for it; a step may be taken twice.
    while True:
        try:
            await step(*arguments)
            return
        except MemoryError:
            gc.collect()
        await asyncio.sleep_ms(_RETRY_MS)


async def _end(interface):
    try:
        await asyncio.wait_for_ms(interface.stop(), _STOP_MS)
    except asyncio.TimeoutError:
        log("error", f"interface {interface.name}: it does not end")
    interface.forget()


async def _begin(equipment, interface, outlet):
    outlet.open(equipment.hub.publish)
    equipment.prepare(interface)
    if interface.starts:
        await interface.start()


async def _list(equipment):
    equipment.list()


async def add(equipment, entry):
    """Add an interface to the end of the list.

    Raises:
        ValueError: the entry can't be used; `field` is the option's name.
        OSError, MemoryError: it can't be saved.
    """
    await apply(equipment, equipment.entries + [_checked(entry)])


async def configure(equipment, interface, entry):
    """Put `entry` in the place of that of `interface`, its name and its type included."""
    entry = _checked(entry)
    entries = list(equipment.entries)
    entries[equipment.all.index(interface)] = entry
    await apply(equipment, entries)


async def remove(equipment, interface):
    """Take an interface off the list."""
    entries = list(equipment.entries)
    entries.pop(equipment.all.index(interface))
    await apply(equipment, entries)


async def order(equipment, names):
    """Have the interfaces in the order of `names`, which are all of theirs."""
    present = [interface.name for interface in equipment.all]
    if not isinstance(names, list) or not all([isinstance(name, str) for name in names]):
        raise ValueError("the names must be a list of texts")
    if sorted(names) != sorted(present):
        raise ValueError("the names must be those of all interfaces")
    entries = list(equipment.entries)
    await apply(equipment, [entries[present.index(name)] for name in names])


def _checked(entry):
    if not isinstance(entry, dict):
        raise BadField(None, "an interface must be an object with name and type")
    return entry


def kinds():
    """The kinds that are frozen: [{"type", "title"}]."""
    return [_describe(name, False) for name, _ in interfaces.TYPES]


def kind(name):
    """What a form for a kind, or a user's class by its dotted name, is made from.

    Returns:
        {"type", "title", "options"}; an option is {"name", "kind", "least", "most", "default",
        "help"}, with "choices" for least and most where it is one of these, and "required".

    Raises:
        ValueError: there is no such kind.
    """
    return _describe(name, True)


def _describe(name, with_options):
    known = tuple(sys.modules)
    cls = interfaces.class_of(name)
    described = {"type": name, "title": cls.title}
    if with_options:
        described["options"] = [carried(_option(*row)) for row in cls.OPTIONS]
    # What no interface of the device uses isn't kept.
    for path in tuple(sys.modules):
        if path not in known and path.startswith("interfaces."):
            unload(path)
    return described


def _option(name, kind, least, most, default, text):
    option = {"name": name, "kind": kind, "help": text}
    if kind == "choice":
        option["choices"] = list(least)
    elif kind != "boolean":
        option["least"], option["most"] = least, most
    if default is ...:
        option["required"] = True
    else:
        option["default"] = default
    return option
