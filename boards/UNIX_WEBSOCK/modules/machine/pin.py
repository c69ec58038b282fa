"""Simulated GPIO pins, see the package."""

import asyncio

import micropython
from umachine import PinBase

from . import signals


class _Pad:
    """What one pin of the chip is set to, whichever `Pin` objects there are for it."""

    def __init__(self):
        self.mode = Pin.IN
        self.pull = None
        self.output = 0
        self.handler = None
        self.trigger = 0
        self.seen = 0


class Pin(PinBase):
    """One pin; every `Pin(n)` is a view of the same one."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    # How often the file is looked at for pins that have a handler.
    WATCH_MS = 20

    _pads = {}
    _watching = False

    def __init__(self, id, mode=None, pull=-1, *, value=None):
        if isinstance(id, Pin):
            id = id.id
        # The ESP32 has GPIO 0 to 39, but for these.
        if type(id) is not int or not 0 <= id < 40 or id in (20, 24, 28, 29, 30, 31):
            raise ValueError("invalid pin")
        if id not in Pin._pads:
            Pin._pads[id] = _Pad()
        self.id = id
        self._pad = Pin._pads[id]
        self.init(mode, pull, value=value)

    def init(self, mode=None, pull=-1, *, value=None):
        """Set direction, pull resistor and level; what is not given stays as it is."""
        if mode is not None and mode != Pin.IN and self.id >= 34:
            raise ValueError("pin can only be input")
        if value is not None:
            self._pad.output = int(bool(value))
        if mode is not None:
            self._pad.mode = mode
        if pull != -1:
            self._pad.pull = pull
        self._notice()

    def value(self, level=None):
        """The level at the pin, 0 or 1; with an argument, set what the pin puts out."""
        if level is None:
            signals.read()
        else:
            self._pad.output = int(bool(level))
        self._notice()
        return self._level() if level is None else None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._pad.output)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING):
        """Call `handler(pin)` soon after an edge of the kind `trigger`; None: no longer.

        Edges that come from the file are seen while an asyncio event loop runs.
        """
        signals.read()
        self._pad.handler = handler
        self._pad.trigger = trigger
        self._pad.seen = self._level()
        if handler is not None and not Pin._watching:
            Pin._watching = True
            asyncio.create_task(Pin._watch())

    def __repr__(self):
        return f"Pin({self.id})"

    def _level(self):
        pad = self._pad
        if pad.mode != Pin.IN:
            return pad.output
        driven = signals.level(self.id)
        return int(pad.pull == Pin.PULL_UP) if driven is None else driven

    def _notice(self):
        """Call the handler when the level is another than at the last look."""
        pad = self._pad
        level = self._level()
        if level == pad.seen:
            return
        pad.seen = level
        edge = Pin.IRQ_RISING if level else Pin.IRQ_FALLING
        if pad.handler is not None and pad.trigger & edge:
            micropython.schedule(pad.handler, self)

    @staticmethod
    async def _watch():
        while True:
            watched = [id for id, pad in Pin._pads.items() if pad.handler is not None]
            if not watched:
                break
            signals.read()
            for id in watched:
                Pin(id)._notice()
            await asyncio.sleep_ms(Pin.WATCH_MS)
        Pin._watching = False
