"""A serial line: each line that comes in is a message, each message goes out as a line."""

import asyncio
from time import ticks_diff, ticks_ms

import heap
from machine import UART

from interfaces.base import Interface
from interfaces.lines import Lines
from interfaces.pins import uart_pins

# The driver's receive buffer holds what comes in RX_MS: a garbage collection takes some 50 ms, and
# 256 bytes, the default, fill in 22 ms at 115200 baud.
RX_MS = 150
RXBUF_MIN = 2048
RXBUF_MAX = 16_384

# What is handed to the driver at a time, and its transmit buffer. The driver says that it can
# always be written to, and a write waits, with everything else on the chip, until all of it fits
# the buffer: so no more is written than fits for sure, and then waited for as long as the line
# needs to send it.
TX_CHUNK = 128
TXBUF = 512

RX_CHUNK = 512

# Lines that are kept for pages that are opened later, and characters of all of them.
RECENT_LINES = 32
RECENT_SIZE = max(512, min(4096, heap.SIZE // 64))

# After so long a silence what has come of a line is passed on without its end: a prompt has none.
QUIET_MS = 200


class Uart(Interface):
    """State `overruns`, when there were some: how often more came than there was room for, so that
    bytes were lost."""

    type = "uart"
    title = "UART"
    takes_messages = True
    OPTIONS = (
        ("id", "uart", 1, 2, 1, "Number of the UART"),
        ("baudrate", "integer", 300, 5_000_000, 115_200, "Bits a second"),
        ("tx", "output", 0, 48, None, "GPIO that sends; empty: the UART's own"),
        ("rx", "pin", 0, 48, None, "GPIO that receives; empty: the UART's own"),
        ("bits", "integer", 5, 8, 8, "Data bits"),
        ("parity", "choice", ("none", "even", "odd"), None, "none", "Parity bit"),
        ("stop", "integer", 1, 2, 1, "Stop bits"),
        ("eol", "choice", ("\n", "\r\n", "\r", ""), None, "\n", "What ends each message sent"),
    )

    def __init__(self, name, emit, **options):
        super().__init__(name, emit, **options)
        self.recent = []

    def _received(self, text):
        recent = self.recent
        recent.append(text)
        size = sum([len(each) for each in recent])
        while len(recent) > RECENT_LINES or size > RECENT_SIZE:
            size -= len(recent.pop(0))
        self.emit("msg", text)

    def _pins(self):
        from board import MACHINE

        tx, rx = uart_pins(MACHINE, self.options["id"])
        options = self.options
        return (
            tx if options["tx"] is None else options["tx"],
            rx if options["rx"] is None else options["rx"],
        )

    def claims(self):
        tx, rx = self._pins()
        yield "id", "uart", self.options["id"]
        if tx is not None:
            yield "tx", "output", tx
        if rx is not None:
            yield "rx", "pin", rx

    def connection(self):
        return f"UART {self.options['id']}, {self.options['baudrate']} baud"

    async def run(self):
        uart = self._open()
        lines = Lines()
        begun = asyncio.Event()
        # Each of these waits for one thing itself, so that cancelling it takes the UART out of
        # asyncio's poller at once: polling a UART that is closed is an error on the chip.
        tasks = [
            asyncio.create_task(self._receive(uart, lines, begun)),
            asyncio.create_task(self._flush_when_quiet(lines, begun)),
            asyncio.create_task(self._transmit(uart)),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            uart.deinit()

    def _open(self):
        options = self.options
        tx, rx = self._pins()
        return UART(
            options["id"],
            baudrate=options["baudrate"],
            bits=options["bits"],
            parity={"none": None, "even": 0, "odd": 1}[options["parity"]],
            stop=options["stop"],
            txbuf=TXBUF,
            rxbuf=self._rxbuf(),
            timeout=0,
            tx=tx,
            rx=rx,
        )

    def _rxbuf(self):
        # Ten bits make a byte, about.
        size = self.options["baudrate"] * RX_MS // 10_000
        return min(max(size, RXBUF_MIN), RXBUF_MAX)

    async def _receive(self, uart, lines, begun):
        stream = asyncio.StreamReader(uart)
        data = bytearray(RX_CHUNK)
        view = memoryview(data)
        full = self._rxbuf()
        overruns = 0
        while True:
            # None: there was nothing after all.
            size = await stream.readinto(data) or 0
            if size == RX_CHUNK and uart.any() + size >= full:
                # The driver has no more room, and doesn't tell what it lost.
                overruns += 1
                self.emit("overruns", overruns)
            for text in lines.feed(view[:size]):
                self._received(text)
            if lines:
                self._byte_at = ticks_ms()
                begun.set()

    async def _flush_when_quiet(self, lines, begun):
        while True:
            await begun.wait()
            begun.clear()
            while lines and (left := QUIET_MS - ticks_diff(ticks_ms(), self._byte_at)) > 0:
                await asyncio.sleep_ms(left)
            if lines:
                self._received(lines.flush())

    async def _transmit(self, uart):
        eol = self.options["eol"]
        # A start bit, the data bits, perhaps parity, and the stop bits.
        bits = 1 + self.options["bits"] + self.options["stop"]
        bits += self.options["parity"] != "none"
        baudrate = self.options["baudrate"]
        while True:
            data = memoryview((await self.message() + eol).encode())
            for i in range(0, len(data), TX_CHUNK):
                size = uart.write(data[i : i + TX_CHUNK])
                await asyncio.sleep_ms(size * bits * 1000 // baudrate + 1)
