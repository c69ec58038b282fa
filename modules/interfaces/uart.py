"""A serial line: each line that comes in is a message, each message goes out as a line."""

import asyncio
from time import ticks_diff, ticks_ms

from machine import UART

from interfaces.base import Interface
from interfaces.lines import Lines
from interfaces.options import integer, one_of

# The driver's receive buffer. At 115200 baud 256 bytes, the default, fill in 22 ms: less than a
# garbage collection takes.
RXBUF = 2048

# What is handed to the driver at a time, and its transmit buffer. The driver says that it can
# always be written to, and a write waits, with everything else on the chip, until all of it fits
# the buffer: so no more is written than fits for sure, and then waited for as long as the line
# needs to send it.
TX_CHUNK = 128
TXBUF = 512

RX_CHUNK = 256

# After so long a silence what has come of a line is passed on without its end: a prompt has none.
QUIET_MS = 200


class Uart(Interface):
    """Options: `id`, `baudrate`, `tx` and `rx` (pins), `bits`, `parity`, `stop`, as of
    machine.UART, and `eol`, what is sent after each message."""

    type = "uart"
    title = "UART"
    OPTIONS = {
        # UART 0 is the console.
        "id": (1, integer(1, 2)),
        "baudrate": (115_200, integer(300, 5_000_000)),
        "tx": (None, integer(0, 48)),
        "rx": (None, integer(0, 48)),
        "bits": (8, integer(5, 8)),
        "parity": ("none", one_of("none", "even", "odd")),
        "stop": (1, integer(1, 2)),
        "eol": ("\n", one_of("\n", "\r\n", "\r", "")),
    }

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
        pins = {key: options[key] for key in ("tx", "rx") if options[key] is not None}
        return UART(
            options["id"],
            baudrate=options["baudrate"],
            bits=options["bits"],
            parity={"none": None, "even": 0, "odd": 1}[options["parity"]],
            stop=options["stop"],
            txbuf=TXBUF,
            rxbuf=RXBUF,
            timeout=0,
            **pins,
        )

    async def _receive(self, uart, lines, begun):
        stream = asyncio.StreamReader(uart)
        data = bytearray(RX_CHUNK)
        view = memoryview(data)
        while True:
            # None: there was nothing after all.
            size = await stream.readinto(data) or 0
            for text in lines.feed(view[:size]):
                self.emit("msg", text)
            if lines:
                self._heard = ticks_ms()
                begun.set()

    async def _flush_when_quiet(self, lines, begun):
        while True:
            await begun.wait()
            begun.clear()
            while lines and (left := QUIET_MS - ticks_diff(ticks_ms(), self._heard)) > 0:
                await asyncio.sleep_ms(left)
            if lines:
                self.emit("msg", lines.flush())

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
