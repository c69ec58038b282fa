"""The host board's simulated hardware, and the UART and GPIO interfaces on it."""

import asyncio
import json
import os
import select
import sys
import time

import machine
from helpers import refusal, until
from interfaces import create, uart
from machine import UART, Pin

HOST_ONLY = True

machine.FOLDER = ""

WAIT_MS = 5000


class Published(list):
    """Collects what interfaces emit."""

    def __call__(self, key, value):
        self.append((key, value))

    def of(self, wanted):
        return [value for key, value in self if key == wanted]


def drive(**levels):
    """Drive input pins: drive(p4=1)."""
    with open("gpio_sim.json", "w") as file:
        json.dump({key[1:]: levels[key] for key in levels}, file)


class Peer:
    """What is at the other end of a UART: a program that opened its pseudo-terminal."""

    def __init__(self, id):
        with open(f"uart{id}.pty") as file:
            self._file = open(file.read(), "r+b")
        self._poller = select.poll()
        self._poller.register(self._file, select.POLLIN)
        self.received = b""
        self._take()
        self.received = b""

    def _take(self):
        while self._poller.poll(0):
            self.received += self._file.read(1)

    def write(self, data):
        self._file.write(data)

    async def expect(self, data):
        def has_it():
            self._take()
            return self.received == data

        try:
            await until(has_it)
        finally:
            assert self.received == data, self.received
        self.received = b""

    def close(self):
        self._file.close()


# The chip


def test_unique_id_is_made_once():
    own = machine.unique_id()
    assert len(own) == 6
    assert own[0] & 3 == 2
    assert machine.unique_id() == own
    with open("unique_id", "wb") as file:
        file.write(b"cut")
    other = machine.unique_id()
    assert len(other) == 6
    assert other != own
    assert machine.unique_id() == other


def test_reset_starts_the_program_anew():
    assert machine.reset_cause() == machine.PWRON_RESET
    program = (
        "import machine; cause = machine.reset_cause(); "
        "machine.reset() if cause == machine.PWRON_RESET else open('cause', 'w').write(str(cause))"
    )
    assert os.system(f'{sys.executable} -c "{program}"') == 0
    with open("cause") as file:
        assert int(file.read()) == machine.HARD_RESET


# Pins


def test_output():
    pin = Pin(2, Pin.OUT, value=1)
    assert pin.value() == pin() == 1
    pin.off()
    assert pin() == 0
    pin.toggle()
    assert Pin(2)() == 1
    pin(0)
    assert pin.value() == 0
    pin.on()
    assert pin.value() == 1
    assert machine.Signal(pin, invert=True).value() == 0


def test_input():
    pin = Pin(4, Pin.IN)
    assert pin() == 0
    pin.init(Pin.IN, Pin.PULL_UP)
    assert pin() == 1
    drive(p4=0)
    assert pin() == 0
    # Only noted, as on the chip, until the pin is an output.
    pin.on()
    assert pin() == 0
    drive()
    assert pin() == 1


def test_a_bad_file_changes_nothing():
    pin = Pin(4, Pin.IN, None)
    drive(p4=1)
    assert pin() == 1
    for text in ("{", "[1]", '{"four": 0}'):
        with open("gpio_sim.json", "w") as file:
            file.write(text)
        assert pin() == 1, text
    drive()


def test_pins_that_are_not_there():
    for id in (-1, 20, 24, 28, 40, "4", None):
        refusal(ValueError, Pin, id)
    refusal(ValueError, Pin, 34, Pin.OUT)
    Pin(34, Pin.IN)


async def test_interrupts():
    edges = []
    pin = Pin(5, Pin.IN, None)
    pin.irq(lambda which: edges.append((which.id, which())), Pin.IRQ_RISING)
    drive(p5=1)
    await until(lambda: edges == [(5, 1)])
    drive(p5=0)
    await until(lambda: pin() == 0)
    drive(p5=1)
    await until(lambda: len(edges) == 2)
    pin.irq(None)
    drive(p5=0)
    await until(lambda: not Pin._watching)
    drive(p5=1)
    pin()
    await asyncio.sleep_ms(0)
    assert len(edges) == 2
    drive()


# UART


def test_uart_through_its_pty():
    port = UART(1, 9600, tx=17, rx=16, rxbuf=2048)
    peer = Peer(1)
    assert port.any() == 0
    assert port.read() is None
    assert port.readline() is None
    assert port.write(b"to the peer") == 11
    asyncio.run(peer.expect(b"to the peer"))
    peer.write(b"line\nrest")
    assert port.any() > 0
    assert port.readline() == b"line\n"
    assert port.read(2) == b"re"
    buffer = bytearray(8)
    assert port.readinto(buffer, 1) == 1
    assert port.readinto(buffer) == 1
    assert buffer[0] == ord("t")
    assert port.readinto(buffer) is None
    assert port.txdone()
    peer.close()
    port.deinit()


def test_a_closed_uart():
    port = UART(1)
    peer = Peer(1)
    port.deinit()
    for call in (port.any, port.read, port.readline, port.txdone):
        refusal(OSError, call)
    refusal(OSError, port.write, b"x")
    refusal(OSError, port.readinto, bytearray(1))
    # The wire stays; what comes while nobody listens is lost.
    peer.write(b"unheard")
    port.init(19200)
    assert port.read() is None
    peer.write(b"heard")
    assert port.read() == b"heard"
    peer.close()
    port.deinit()


def test_uart_timeout():
    port = UART(1, timeout=30)
    begun = time.ticks_ms()
    assert port.read(1) is None
    assert time.ticks_diff(time.ticks_ms(), begun) >= 30
    port.deinit()


def test_uart_settings():
    refusal(ValueError, UART, 3)
    refusal(ValueError, UART, 1, bits=9)
    refusal(ValueError, UART, 1, stop=3)
    refusal(ValueError, UART, 1, rxbuf=100)
    refusal(ValueError, UART, 1, tx=99)
    refusal(TypeError, UART, 1, speed=9600)


async def test_uart_is_a_stream():
    port = UART(2, 115200)
    peer = Peer(2)
    task = asyncio.create_task(asyncio.StreamReader(port).readline())
    await asyncio.sleep_ms(20)
    assert not task.done()
    peer.write(b"awaited\n")
    assert await task == b"awaited\n"
    peer.close()
    port.deinit()


def test_nobody_reads():
    port = UART(2)
    for _ in range(200):
        assert port.write(b"x" * 1024) == 1024
    port.deinit()


# The UART interface


async def open_line(**options):
    published = Published()
    unit = create(dict(options, name="line", type="uart", id=1), published)
    await unit.start()
    await asyncio.sleep_ms(0)
    return unit, published, Peer(1)


async def test_lines_both_ways():
    unit, published, peer = await open_line(eol="\r\n")
    unit.send("hello")
    unit.send("wörld")
    await peer.expect("hello\r\nwörld\r\n".encode())
    peer.write(b"one\r\ntwo\n")
    await until(lambda: published.of("line/msg") == ["one", "two"])
    await unit.stop()
    assert published[-1] == ("line/running", False)
    peer.write(b"unheard\n")
    await unit.start()
    await asyncio.sleep_ms(20)
    peer.write(b"three\n")
    await until(lambda: len(published.of("line/msg")) == 3)
    assert published.of("line/msg")[-1] == "three"
    await unit.stop()
    peer.close()


async def test_a_prompt_comes_without_its_line_end():
    unit, published, peer = await open_line()
    begun = time.ticks_ms()
    peer.write(b"login: ")
    await until(lambda: published.of("line/msg"))
    assert time.ticks_diff(time.ticks_ms(), begun) >= uart.QUIET_MS
    assert published.of("line/msg") == ["login: "]
    peer.write(b"caf\xe9\n")
    await until(lambda: len(published.of("line/msg")) == 2)
    assert published.of("line/msg")[-1] == "caf\\xe9"
    await unit.stop()
    peer.close()


async def test_a_line_that_comes_bit_by_bit():
    unit, published, peer = await open_line()
    usual = uart.QUIET_MS
    uart.QUIET_MS = 1000
    try:
        for byte in b"very slowly":
            peer.write(bytes((byte,)))
            await asyncio.sleep_ms(120)
        peer.write(b"\n")
        await until(lambda: published.of("line/msg"))
    finally:
        uart.QUIET_MS = usual
    # All in one, though it took longer than the silence that ends a line: each byte broke it.
    assert published.of("line/msg") == ["very slowly"]
    await unit.stop()
    peer.close()


async def test_a_failure_ends_both_directions():
    published = Published()
    failing = True

    def publish(key, value):
        if failing and key == "line/msg":
            raise RuntimeError("no room")
        published(key, value)

    unit = create({"name": "line", "type": "uart", "id": 1}, publish)
    await unit.start()
    await asyncio.sleep_ms(0)
    peer = Peer(1)
    peer.write(b"one\n")
    await until(lambda: not unit.running)
    assert published.of("line/error") == ["RuntimeError: no room"]
    failing = False
    await unit.start()
    unit.send("out")
    await peer.expect(b"out\n")
    peer.write(b"two\n")
    await until(lambda: published.of("line/msg") == ["two"])
    await unit.stop()
    peer.close()


async def test_a_slow_line_does_not_hold_up_the_loop():
    unit, _, peer = await open_line(baudrate=9600, eol="")
    steps = 0

    async def count():
        nonlocal steps
        while True:
            await asyncio.sleep_ms(1)
            steps += 1

    counter = asyncio.create_task(count())
    text = "0123456789abcdef" * 60
    unit.send(text)
    begun = time.ticks_ms()
    await peer.expect(text.encode())
    # 960 characters of 10 bits, less the last of 128, which the driver sends by itself.
    assert time.ticks_diff(time.ticks_ms(), begun) >= 832 * 10 * 1000 // 9600
    assert steps > 100, steps
    counter.cancel()
    await unit.stop()
    peer.close()


async def test_much_comes_in_at_once():
    unit, published, peer = await open_line()
    for i in range(300):
        peer.write(f"line {i:03d}\n".encode())
        if i % 50 == 0:
            await asyncio.sleep_ms(1)
    await until(lambda: len(published.of("line/msg")) == 300)
    assert published.of("line/msg") == [f"line {i:03d}" for i in range(300)]
    await unit.stop()
    peer.close()


async def test_a_uart_that_cannot_be_opened():
    published = Published()
    unit = create({"name": "line", "type": "uart"}, published)
    unit.options["tx"] = 20  # no pin of this chip
    await unit.start()
    await until(lambda: not unit.running)
    assert published.of("line/error") == ["ValueError: invalid pin"]
    await unit.stop()


def test_uart_options():
    for option, value in (
        ("id", 0),
        ("baudrate", "fast"),
        ("baudrate", 0),
        ("bits", 9),
        ("parity", "mark"),
        ("stop", 3),
        ("tx", -1),
        ("eol", "\n\n"),
    ):
        config = {"name": "line", "type": "uart", option: value}
        text = refusal(ValueError, create, config, print)
        assert text.startswith(f"interface line: {option} must be"), text


# The GPIO interface


async def open_pin(**options):
    published = Published()
    unit = create(dict(options, name="pin", type="gpio"), published)
    await unit.start()
    await until(lambda: published.of("pin/value"))
    return unit, published


async def test_an_output_is_switched():
    unit, published = await open_pin(pin=12)
    for text, level in (("1", 1), ("off", 0), (" On ", 1), ("toggle", 0), ("TOGGLE", 1), ("0", 0)):
        unit.send(text)
        await until(lambda level=level: Pin(12)() == level)
    unit.send("on")
    unit.send("on")
    await until(lambda: Pin(12)() == 1)
    for text in ("", "2", "high", "on off"):
        assert "takes 1, on, 0, off or toggle" in refusal(ValueError, unit.send, text)
    await unit.stop()
    assert Pin(12)() == 0
    assert published.of("pin/value") == [0, 1, 0, 1, 0, 1, 0, 1, 0], published


async def test_an_inverted_output_that_starts_on():
    unit, published = await open_pin(pin=12, invert=True, initial=1)
    assert Pin(12)() == 0
    unit.send("off")
    await until(lambda: Pin(12)() == 1)
    await unit.stop()
    assert Pin(12)() == 0
    assert published.of("pin/value") == [1, 0, 1]


async def test_an_input_is_watched():
    drive(p13=0)
    unit, published = await open_pin(pin=13, direction="in", pull="up")
    drive(p13=1)
    await until(lambda: published.of("pin/value") == [0, 1])
    drive(p13=0)
    await until(lambda: published.of("pin/value") == [0, 1, 0])
    assert refusal(ValueError, unit.send, "1") == "pin takes no messages"
    await unit.stop()
    drive()


async def test_an_input_is_debounced():
    drive(p14=0)
    unit, published = await open_pin(pin=14, direction="in", debounce_ms=10_000, invert=True)
    drive(p14=1)
    await asyncio.sleep_ms(100)
    drive(p14=0)
    await asyncio.sleep_ms(100)
    assert published.of("pin/value") == [1]
    await unit.stop()
    drive()


def test_gpio_options():
    for option, value in (
        ("pin", 49),
        ("pin", True),
        ("direction", "both"),
        ("invert", 1),
        ("initial", 2),
        ("pull", "left"),
        ("debounce_ms", -1),
    ):
        config = {"name": "pin", "type": "gpio", "pin": 4, option: value}
        text = refusal(ValueError, create, config, print)
        assert text.startswith(f"interface pin: {option} must be"), text
    text = refusal(ValueError, create, {"name": "a", "type": "gpio"}, print)
    assert text == "interface a: pin has to be given"
