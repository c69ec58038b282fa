"""One pin of the chip: an output that is switched, or an input that is watched.

State `value`: 1 when on, 0 when off. "On" is a high level, or with `invert` a low one.
"""

import asyncio

from machine import Pin

from interfaces.base import Interface
from interfaces.options import boolean, integer, one_of

# A contact bounces for some ms; a person does not notice this.
POLL_MS = 10

# The highest pin number of the ESP32 family (ESP32-S3). Which of the numbers below are pins, and
# which of those can be outputs, `machine.Pin` knows.
PIN_MAX = 48


class Gpio(Interface):
    """Options: `pin` (required), `direction` "out" or "in", `invert`.

    For an output: `initial`, the value it has from start to the first message, and from stop on.
    It takes the texts 1, on, 0, off and toggle. For an input: `pull` "up", "down" or "none", and
    `debounce_ms`, how long a level must last to count.
    """

    type = "gpio"
    title = "GPIO"
    OPTIONS = {
        "pin": (-1, integer(0, PIN_MAX)),
        "direction": ("out", one_of("out", "in")),
        "invert": (False, boolean),
        "initial": (0, one_of(0, 1)),
        "pull": ("none", one_of("none", "up", "down")),
        "debounce_ms": (50, integer(0, 10_000)),
    }

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        # A page offers switching for an output only.
        self.emit("direction", self.options["direction"])

    _VALUES = {"1": 1, "on": 1, "0": 0, "off": 0}

    def check(self, text):
        if self.options["direction"] == "in":
            raise ValueError(f"{self.name} is an input")
        if self._word(text) not in self._VALUES and self._word(text) != "toggle":
            raise ValueError(f"{self.name} takes 1, on, 0, off or toggle")

    @staticmethod
    def _word(text):
        return text.strip().lower()

    async def run(self):
        if self.options["direction"] == "in":
            await self._watch()
        else:
            await self._switch()

    async def _switch(self):
        invert = self.options["invert"]
        initial = self.options["initial"]
        pin = Pin(self.options["pin"], Pin.OUT, value=initial ^ invert)
        value = initial
        self.emit("value", value)
        try:
            while True:
                word = self._word(await self.message())
                wanted = self._VALUES.get(word, 1 - value)
                if wanted != value:
                    value = wanted
                    pin.value(value ^ invert)
                    self.emit("value", value)
        finally:
            pin.value(initial ^ invert)
            if value != initial:
                self.emit("value", initial)

    async def _watch(self):
        pulls = {"none": None, "up": Pin.PULL_UP, "down": Pin.PULL_DOWN}
        pin = Pin(self.options["pin"], Pin.IN, pulls[self.options["pull"]])
        invert = self.options["invert"]
        # A look is POLL_MS after the one before, or later: the level lasted at least as long.
        looks_needed = self.options["debounce_ms"] // POLL_MS
        value = pin.value() ^ invert
        self.emit("value", value)
        looks = 0
        while True:
            await asyncio.sleep_ms(POLL_MS)
            if pin.value() ^ invert == value:
                looks = 0
            elif looks < looks_needed:
                looks += 1
            else:
                looks = 0
                value = 1 - value
                self.emit("value", value)
