"""The PWM output's ramps, and what counts pulses with and without a counter in the chip."""

import asyncio

from helpers import refusal, until
from interfaces import counter
from interfaces.counter import PulseCounter
from interfaces.pwm import Pwm
from machine import PWM, Pin

HOST_ONLY = True

FULL = 65535


class Published(list):
    def __call__(self, key, value):
        self.append((key, value))

    def of(self, key):
        return [value for each, value in self if each == "unit/" + key]


async def started(cls, **options):
    published = Published()
    interface = cls("unit", published, **options)
    interface.prepare()
    await interface.start()
    await until(lambda: interface.running and len(published) >= 3)
    return interface, published


def level(pin):
    return PWM.running[pin][1]


async def test_an_output_has_its_initial_duty_before_it_runs_and_when_it_has_stopped():
    lamp = Pwm("unit", Published(), pin=14, initial=25, frequency=200)
    lamp.prepare()
    assert PWM.running[14] == (200, round(FULL / 4))
    await lamp.start()
    await until(lambda: lamp.running)
    lamp.send("80 %")
    await until(lambda: level(14) == round(FULL * 0.8))
    lamp.send("3000 Hz")
    await until(lambda: PWM.running[14][0] == 3000)
    await lamp.stop()
    assert level(14) == round(FULL / 4)


async def test_an_inverted_output_is_full_at_a_low_level():
    lamp, _ = await started(Pwm, pin=14, invert=True, initial=0)
    assert level(14) == FULL
    lamp.send("100")
    await until(lambda: level(14) == 0)
    await lamp.stop()
    assert level(14) == FULL


async def test_a_ramp_goes_one_way_and_ends_where_it_is_to():
    lamp, published = await started(Pwm, pin=14)
    published.clear()
    lamp.send("60 300")
    await until(lambda: published.of("duty")[-1:] == [60])
    duties = published.of("duty")
    assert len(duties) > 3 and duties == sorted(duties) and level(14) == round(FULL * 0.6)
    published.clear()
    lamp.send("0 100")
    await until(lambda: published.of("duty")[-1:] == [0])
    duties = published.of("duty")
    assert duties == sorted(duties, reverse=True) and level(14) == 0
    await lamp.stop()


async def test_the_next_message_ends_a_ramp_where_it_is():
    lamp, published = await started(Pwm, pin=14, ramp_ms=3_600_000)
    lamp.send("100")
    await until(lambda: 0 < len(published.of("duty")) and 0 <= published.of("duty")[-1] < 1)
    lamp.send("30 0")
    await until(lambda: published.of("duty")[-1] == 30)
    # It is of no use to wait for the end of the first.
    assert max(published.of("duty")) == 30
    await lamp.stop()


def test_what_an_output_refuses():
    lamp = Pwm("unit", Published(), pin=14)
    for text in ("", "on", "101", "-1", "nan", "0 -1", "0 3600001", "0 Hz", "100001 Hz", "1 2 3"):
        assert refusal(ValueError, lambda text=text: lamp.check(text)), text
    for text in ("0", "100", "33.3", "40%", "40 2000", "1 Hz", "100000 hz"):
        lamp.check(text)


async def test_pulses_are_counted_by_the_chips_units_and_then_by_interrupts():
    sources = []
    try:
        for _ in range(9):
            sources.append(counter._source(Pin(4, Pin.OUT, value=0), True, 0))
        kinds = [type(source) for source in sources]
        assert kinds == [counter._Hardware] * 8 + [counter._Interrupts]
        # A unit that is given back is there for the next.
        sources[3].close()
        sources[3] = counter._source(Pin(4), True, 0)
        assert type(sources[3]) is counter._Hardware
    finally:
        for source in sources:
            source.close()
    assert counter._used == 0


class Without:
    """A chip that has no pulse counter, as the ESP32-C3."""


async def test_interrupts_count_the_edges_that_are_meant():
    chip, counter.machine = counter.machine, Without
    pin = Pin(4, Pin.OUT, value=0)
    try:
        for rising, edges in ((True, 5), (False, 4)):
            pin.off()
            source = counter._source(pin, rising, 0)
            for i in range(9):
                pin.value(1 - i % 2)
                await asyncio.sleep_ms(0)  # handlers run between two steps
            assert source.take() == edges and source.take() == 0
            source.close()
            pin.toggle()
            await asyncio.sleep_ms(0)
            assert source.take() == 0
    finally:
        counter.machine = chip


async def test_a_counter_begins_again_when_it_is_told_to():
    chip, counter.machine = counter.machine, Without
    pulses, published = [7, 5, 0, 3], Published()

    class Source:
        def take(self):
            return pulses.pop(0) if pulses else 0

        def close(self):
            pulses.clear()

    source, counter._source = counter._source, lambda pin, rising, filter_ns: Source()
    try:
        meter = PulseCounter("unit", published, pin=4, period_ms=100, scale=0.5, decimals=1)
        assert refusal(ValueError, lambda: meter.check("stop"))
        await meter.start()
        await until(lambda: len(published.of("count")) >= 3)
        assert published.of("count")[:3] == [0, 3.5, 6]
        meter.send("Reset")
        await until(lambda: published.of("count")[-1] == 0)
        await meter.stop()
    finally:
        counter.machine, counter._source = chip, source
