"""The interfaces that the device has: made from the configuration, kept running, changed while
they run."""

import asyncio

import board
import interfaces
from micropython import const

from .log import log

# How often it is looked whether values are fresh and who failed has recovered.
_LOOK_MS = const(1000)


class Equipment:
    """The device's interfaces.

    Args:
        config: the `config.Config`.
        hub: the `hub.Hub`, which gets their state, and the list of them as "hal".

    Attributes:
        all: list of `interfaces.base.Interface`; one that can't be made is an
            `interfaces.unusable.Unusable`.
        entries: what each of them is made from, as in app.json.
    """

    def __init__(self, config, hub):
        self.config = config
        self.hub = hub
        self._due = None  # what is still to be started after the device's start
        taken = self.taken()
        self.all = []
        self.entries = interfaces.entries_of(config.get("interfaces"), _complain)
        for entry in self.entries:
            try:
                interface = interfaces.create(entry, hub.publish, taken, self.all)
            except ValueError as error:
                from interfaces.unusable import unusable

                _complain(str(error))
                interface = unusable(entry, self.all, str(error), hub.publish)
            self.all.append(interface)
            self.prepare(interface)
        self.list()

    def taken(self, changes=()):
        """What of the chip the device itself has: see `interfaces.create`.

        Args:
            changes: fields of the configuration that are to be others, by their paths.
        """
        taken = {}
        lan = self.config.section("lan") or board.LAN
        if lan:
            from interfaces.pins import of_lan

            taken = {f"GPIO {number}": "Ethernet" for number in of_lan(lan)}
        led = changes["device/led"] if "device/led" in changes else self.config.get("device/led")
        if type(led) is int and led >= 0:  # a new one isn't checked yet
            taken[f"GPIO {led}"] = "the LED"
        return taken

    def prepare(self, interface):
        """Bring the hardware of one that starts by itself into its first state."""
        if not interface.starts:
            return
        try:
            interface.prepare()
        except Exception as error:
            # It fails again when it is started, and is on its card then.
            log("error", f"interface {interface.name}: {error}")

    def list(self):
        """Publish what there is."""
        self.hub.update({"hal": [interface.description for interface in self.all]})

    def find(self, name):
        """The interface of this name; None when there is none."""
        for interface in self.all:
            if interface.name == name:
                return interface
        return None

    def name_of(self, task):
        """What a task is called that is an interface's; None for another's."""
        for interface in self.all:
            if getattr(interface, "_task", None) is task:
                return "interface " + interface.name
        return None

    async def run(self):
        """Start what starts by itself, and look after all of them; never returns."""
        if self._due is None:
            self._due = [interface for interface in self.all if interface.starts]
        while self._due:
            await self._due[0].start()
            self._due.pop(0)
        while True:
            await asyncio.sleep_ms(_LOOK_MS)
            for interface in self.all:
                interface.look()


def _complain(text):
    log("error", text)
