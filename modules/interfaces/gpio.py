"""One pin of the chip: an output that is switched, or an input that is watched.

State `value`: 1 when on, 0 when off. "On" is a high level, or with `invert` a low one.
"""

import asyncio

from machine import Pin

from interfaces.base import Interface

# A contact bounces for some ms; a person does not notice this.
POLL_MS = 10


class Gpio(Interface):
    """An output has its value `initial` from the device's start to the first message, and from
    stop on. It takes the texts 1, on, 0, off and toggle."""

    type = "gpio"
    title = "GPIO"
    OPTIONS = (
        ("pin", "pin", 0, 48, ..., "Number of the GPIO"),
        ("direction", "choice", ("out", "in"), None, "out", "Output, or input"),
        ("invert", "boolean", None, None, False, "On is a low level"),
        ("initial", "choice", (0, 1), None, 0, "Output: its value at start and when stopped"),
        ("pull", "choice", ("none", "up", "down"), None, "none", "Input: the pull resistor"),
        (
            "debounce_ms",
            "integer",
            0,
            10_000,
            50,
            "Input: milliseconds that a level must last to count",
        ),
    )

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        self._pin = None
        is_output = self.options["direction"] == "out"
        self.takes_messages = self.holds = is_output
        # A page offers switching for an output only.
        self.emit("direction", self.options["direction"])

    _VALUES = {"1": 1, "on": 1, "0": 0, "off": 0}

    def connection(self):
        return f"GPIO {self.options['pin']}"

    def claims(self):
        kind = "output" if self.options["direction"] == "out" else "pin"
        yield "pin", kind, self.options["pin"]

    def check(self, text):
        if self._word(text) not in self._VALUES and self._word(text) != "toggle":
            raise ValueError(f"{self.name} takes 1, on, 0, off or toggle")

    @staticmethod
    def _word(text):
        return text.strip().lower()

    def prepare(self):
        if self.options["direction"] == "out":
            level = self.options["initial"] ^ self.options["invert"]
            self._pin = Pin(self.options["pin"], Pin.OUT, value=level)

    async def run(self):
        if self.options["direction"] == "in":
            await self._watch()
        else:
            await self._switch()

    async def _switch(self):
        if self._pin is None:
            self.prepare()
        pin = self._pin
        invert = self.options["invert"]
        initial = self.options["initial"]
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
