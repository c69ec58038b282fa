"""A pulse-width modulated output: the brightness of a lamp, the speed of a fan.

State `duty`, in percent, and `frequency`, in Hz. It takes the texts "40", a duty; "40 2000", a
duty to be reached in so many milliseconds; and "1000 Hz", a frequency.
"""

import asyncio
from time import ticks_diff, ticks_ms

from machine import PWM, Pin
from micropython import const

from interfaces.base import Interface

# From step to step of a ramp: 50 a second look smooth.
STEP_MS = const(20)

RAMP_MAX_MS = const(3_600_000)
FREQUENCY_MAX = const(100_000)

_FULL = const(65535)


class Pwm(Interface):
    """The duty is `initial` from the device's start to the first message, and from stop on."""

    type = "pwm"
    title = "PWM output"
    takes_messages = True
    message_help = "40, 40 2000 (in ms), 1000 Hz"
    holds = True
    OPTIONS = (
        ("pin", "output", 0, 48, ..., "Number of the GPIO"),
        ("frequency", "integer", 1, 100_000, 1000, "Frequency in Hz"),
        ("initial", "number", 0, 100, 0, "Duty at start and when stopped, in percent"),
        ("invert", "boolean", None, None, False, "100 % is a low level"),
        ("ramp_ms", "integer", 0, 3_600_000, 0, "Milliseconds that a change of the duty takes"),
    )
    VALUES = (("duty", "%", 1, 0, 100), ("frequency", "Hz", 0, None, None))

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        self._pwm = None
        self._duty = self.options["initial"]

    def connection(self):
        return f"GPIO {self.options['pin']}"

    def check(self, text):
        self._parsed(text)

    def _parsed(self, text):
        # ("Hz", frequency) or (duty, milliseconds)
        words = text.strip().lower().replace("%", "").split()
        try:
            if len(words) == 2 and words[1] == "hz":
                frequency = int(words[0])
                if 1 <= frequency <= FREQUENCY_MAX:
                    return "Hz", frequency
            elif 1 <= len(words) <= 2:
                duty = float(words[0])
                ramp = int(words[1]) if len(words) == 2 else self.options["ramp_ms"]
                if 0 <= duty <= 100 and 0 <= ramp <= RAMP_MAX_MS:
                    return duty, ramp
        except ValueError:
            pass
        raise ValueError(
            f"{self.name} takes a duty of 0 to 100, with the milliseconds of a ramp if need be, "
            f"or a frequency as 1000 Hz, up to {FREQUENCY_MAX}"
        )

    def prepare(self):
        options = self.options
        duty = self._level(options["initial"])
        self._pwm = PWM(Pin(options["pin"]), freq=options["frequency"], duty_u16=duty)

    def _level(self, duty):
        if self.options["invert"]:
            duty = 100 - duty
        return int(duty * _FULL / 100 + 0.5)

    def _set(self, duty):
        self._pwm.duty_u16(self._level(duty))
        self._duty = duty

    async def run(self):
        if self._pwm is None:
            self.prepare()
        frequency = self.options["frequency"]
        self._pwm.freq(frequency)
        self._set(self.options["initial"])
        self.emit("duty", self._duty)
        self.emit("frequency", frequency)
        try:
            while True:
                first, second = self._parsed(await self.message())
                if first == "Hz":
                    self._pwm.freq(second)
                    self.emit("frequency", second)
                else:
                    await self._ramp(first, second)
        finally:
            self._set(self.options["initial"])
            self.emit("duty", self._duty)

    async def _ramp(self, wanted, ramp_ms):
        # The next message ends it where it is.
        before, begun = self._duty, ticks_ms()
        while not self._queue and (passed := ticks_diff(ticks_ms(), begun)) < ramp_ms:
            self._set(before + (wanted - before) * passed / ramp_ms)
            self.emit("duty", round(self._duty, 1))
            await asyncio.sleep_ms(STEP_MS)
        if not ramp_ms or not self._queue:
            self._set(wanted)
        self.emit("duty", round(self._duty, 1))
