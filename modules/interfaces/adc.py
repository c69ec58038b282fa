"""An analog input: a voltage, or what a sensor makes of one.

State `value`: the mean of some readings, in millivolts that the chip's calibration makes of them,
times `scale` plus `offset`. It is published when it has changed by `report_change` since the last
time, and every `report_s` seconds anyway.
"""

import asyncio

import clock
from machine import ADC, Pin

from interfaces.base import Interface

# Attenuation -> the voltages that the converter measures well with it, in mV, of the ESP32; the
# others measure some 10 % further.
ATTENUATIONS = {
    "0 dB": ADC.ATTN_0DB,
    "2.5 dB": ADC.ATTN_2_5DB,
    "6 dB": ADC.ATTN_6DB,
    "11 dB": ADC.ATTN_11DB,
}


class Adc(Interface):
    type = "adc"
    title = "Analog input"
    takes_messages = False
    OPTIONS = (
        ("pin", "adc", 0, 48, ..., "Number of the GPIO"),
        (
            "attenuation",
            "choice",
            ("0 dB", "2.5 dB", "6 dB", "11 dB"),
            None,
            "11 dB",
            "Range: about 0.95, 1.25, 1.75 or 2.45 V",
        ),
        ("scale", "number", -1e9, 1e9, 1, "The value is millivolts times this,"),
        ("offset", "number", -1e9, 1e9, 0, "plus this"),
        ("unit", "text", 0, 16, "mV", "Unit of the value"),
        ("decimals", "integer", 0, 6, 0, "Digits after the point"),
        ("minimum", "number", -1e9, 1e9, None, "Least value that is as it should be"),
        ("maximum", "number", -1e9, 1e9, None, "Greatest value that is as it should be"),
        ("samples", "integer", 1, 64, 8, "Readings that one value is the mean of"),
        ("period_ms", "integer", 20, 3_600_000, 1000, "Milliseconds from value to value"),
        ("report_change", "number", 0, 1e9, 0, "Smallest change that is published at once"),
        ("report_s", "integer", 1, 3600, 10, "Seconds after which it is published anyway"),
    )

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        # Late by more than another value: nobody knows what it is then.
        options = self.options
        self.fresh_s = 3 * max(options["report_s"], options["period_ms"] // 1000)

    def connection(self):
        return f"GPIO {self.options['pin']}"

    def values(self):
        options = self.options
        return (
            (
                "value",
                options["unit"],
                options["decimals"],
                options["minimum"],
                options["maximum"],
            ),
        )

    async def run(self):
        options = self.options
        adc = ADC(Pin(options["pin"]), atten=ATTENUATIONS[options["attenuation"]])
        published = reported = None
        try:
            while True:
                value = await self._read(adc)
                now = clock.seconds()
                if (
                    published is None
                    or now - reported >= options["report_s"]
                    or (value != published and abs(value - published) >= options["report_change"])
                ):
                    self.emit("value", value)
                    published, reported = value, now
                await asyncio.sleep_ms(options["period_ms"])
        finally:
            # What MicroPython 1.25 doesn't have.
            if hasattr(adc, "deinit"):
                adc.deinit()

    async def _read(self, adc):
        options = self.options
        count = options["samples"]
        microvolts = 0
        for _ in range(count):
            microvolts += adc.read_uv()
            await asyncio.sleep_ms(0)
        millivolts = microvolts / (1000 * count)
        value = millivolts * options["scale"] + options["offset"]
        decimals = options["decimals"]
        return round(value, decimals) if decimals else round(value)
