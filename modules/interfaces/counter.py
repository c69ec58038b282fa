"""Counts pulses: a meter's, a flow sensor's, a fan's.

State `count`, the pulses since start times `scale`, and `frequency`, pulses a second. The chip's
pulse counter counts where it has one, else an interrupt for each pulse does, up to some 10,000 a
second. It takes the text "reset", which begins again at 0.
"""

import asyncio
from time import ticks_diff, ticks_us

import machine
from machine import Pin
from micropython import const

from interfaces.base import Interface

# Units of the ESP32's counter; the ESP32-S3 has half of them.
_UNITS = const(8)

# Which units have an owner, by their bits.
_used = 0


class PulseCounter(Interface):
    type = "counter"
    title = "Pulse counter"
    takes_messages = True
    message_help = "reset"
    OPTIONS = (
        ("pin", "pin", 0, 48, ..., "Number of the GPIO"),
        ("edge", "choice", ("rising", "falling"), None, "rising", "The edge that counts"),
        ("pull", "choice", ("none", "up", "down"), None, "none", "The pull resistor"),
        ("filter_ns", "integer", 0, 12_787, 0, "Shortest pulse that counts, in nanoseconds"),
        ("scale", "number", -1e9, 1e9, 1, "The count is the pulses times this"),
        ("unit", "text", 0, 16, "", "Unit of the count"),
        ("decimals", "integer", 0, 6, 0, "Digits after the point of the count"),
        ("minimum", "number", 0, 1e9, None, "Lowest frequency that is as it should be"),
        ("maximum", "number", 0, 1e9, None, "Highest frequency that is as it should be"),
        ("period_ms", "integer", 100, 3_600_000, 1000, "Milliseconds from value to value"),
    )

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        self.fresh_s = 3 * max(1, self.options["period_ms"] // 1000)

    def connection(self):
        return f"GPIO {self.options['pin']}"

    def values(self):
        options = self.options
        return (
            ("count", options["unit"], options["decimals"], None, None),
            ("frequency", "Hz", 1, options["minimum"], options["maximum"]),
        )

    def check(self, text):
        if text.strip().lower() != "reset":
            raise ValueError(f"{self.name} takes reset")

    async def run(self):
        options = self.options
        pulls = {"none": None, "up": Pin.PULL_UP, "down": Pin.PULL_DOWN}
        pin = Pin(options["pin"], Pin.IN, pulls[options["pull"]])
        source = _source(pin, options["edge"] == "rising", options["filter_ns"])
        try:
            await self._publish_counts(source)
        finally:
            source.close()

    async def _publish_counts(self, source):
        total, then = 0, ticks_us()
        self._publish_count(total)
        while True:
            await asyncio.sleep_ms(self.options["period_ms"])
            now = ticks_us()
            pulses = source.take()
            total += pulses
            while self._queue:
                await self.message()
                total = 0
            self._publish_count(total)
            self.emit("frequency", round(pulses * 1_000_000 / max(1, ticks_diff(now, then)), 1))
            then = now

    def _publish_count(self, total):
        decimals = self.options["decimals"]
        value = total * self.options["scale"]
        self.emit("count", round(value, decimals) if decimals else round(value))


def _source(pin, rising, filter_ns):
    # What counts the pin's pulses.
    if hasattr(machine, "Counter"):
        for unit in range(_UNITS):
            if not _used & 1 << unit:
                try:
                    return _Hardware(unit, pin, rising, filter_ns)
                except ValueError:
                    break  # the chip has no more units
    return _Interrupts(pin, rising)


class _Hardware:
    # machine.Counter, which is the PCNT of the ESP32 and the ESP32-S3.

    def __init__(self, unit, pin, rising, filter_ns):
        counter = machine.Counter
        edge = counter.RISING if rising else counter.FALLING
        self._counter = counter(unit, pin, edge=edge, filter_ns=filter_ns)
        self._unit = unit
        global _used
        _used |= 1 << unit

    def take(self):
        """The pulses since the last time."""
        return self._counter.value(0)

    def close(self):
        self._counter.deinit()
        global _used
        _used &= ~(1 << self._unit)


class _Interrupts:
    # Without such a unit: one interrupt for each pulse.

    def __init__(self, pin, rising):
        self._pin = pin
        self._count = 0
        pin.irq(self._on_edge, Pin.IRQ_RISING if rising else Pin.IRQ_FALLING)

    def _on_edge(self, pin):
        self._count += 1

    def take(self):
        count, self._count = self._count, 0
        return count

    def close(self):
        self._pin.irq(None)
