"""What a held BOOT button shows by the LED, and does when it is let go."""

import asyncio

from device.startup import button
from helpers import until
from machine import Pin

HOST_ONLY = True

LED = 2


class Config:
    led = LED

    def get(self, path):
        assert path == "device/led"
        return self.led


class Pressed:
    """A press of so many seconds, of which `resets` tells what it reset."""

    def __init__(self, led=LED):
        self.resets = []
        self.lines = []
        button.Config, button._reset = Config, self.resets.append
        Config.led = led
        self.press = button.Press(lambda level, text: self.lines.append(text))

    def hold(self, seconds):
        for _ in range(seconds):
            assert self.press.goes_on(True, 1000)

    def let_go(self):
        assert not self.press.goes_on(False, 1000)
        return self.resets


def test_what_letting_go_does():
    async def run(seconds):
        pressed = Pressed()
        pressed.hold(seconds)
        return pressed.let_go()

    for seconds, resets in (
        (1, []),
        (9, []),
        (10, [False]),
        (29, [False]),
        (30, [True]),
        (59, [True]),
        (60, []),
        (1000, []),
    ):
        assert asyncio.run(run(seconds)) == resets, seconds


async def test_each_stage_is_told_once():
    pressed = Pressed()
    pressed.hold(100)
    assert [line.split(": ")[0] for line in pressed.lines] == ["BOOT is held"] * 3
    pressed.let_go()


async def test_the_led_is_lit_then_blinks_and_goes_out():
    led = Pin(LED, Pin.OUT, value=0)
    pressed = Pressed()
    assert led.value() == 1
    pressed.hold(5)
    await asyncio.sleep_ms(600)
    assert led.value() == 1
    pressed.hold(5)
    await until(lambda: led.value() == 0)
    await until(lambda: led.value() == 1)
    pressed.hold(20)
    await until(lambda: led.value() == 0)
    await until(lambda: led.value() == 1)
    assert pressed.let_go() == [True]
    assert led.value() == 0
    await asyncio.sleep_ms(600)
    assert led.value() == 0


async def test_a_pin_that_is_no_leds_is_left_alone():
    for number in (-1, 6, 34, 48):
        pressed = Pressed(number)
        pressed.hold(10)
        assert pressed.let_go() == [False]
