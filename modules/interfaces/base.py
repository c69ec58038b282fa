"""The base class of interfaces: what to write to add a piece of hardware to the device.

    from interfaces.base import Interface
    from interfaces.options import integer

    class Thermometer(Interface):
        type = "thermometer"
        title = "Thermometer"
        OPTIONS = {"period_s": (10, integer(1, 3600))}

        async def run(self):
            while True:
                self.emit("celsius", read_the_sensor())
                await asyncio.sleep(self.options["period_s"])

An interface that takes text awaits `self.message()` in its loop.
"""

import asyncio
import gc
import sys

from micropython import const
from utf8 import is_utf8, printable

# Texts that wait for the interface. A person types slower than any interface answers; what comes
# faster is refused, not stored.
QUEUE_LIMIT = 16

# Bytes of one text as UTF-8: more than a line of any serial protocol, and QUEUE_LIMIT of them
# still fit the heap.
MESSAGE_LIMIT = 1024

TITLE_LIMIT = 64

# The end of an interface that there is no memory to publish is tried again after so long.
_RETRY_MS = const(100)


class NotRunning(RuntimeError):
    """A text was sent to an interface that is stopped."""


class QueueFull(RuntimeError):
    """A text was sent while as many as are kept were waiting."""


class Interface:
    """One configured piece of hardware.

    A subclass sets `type` and `title`, lists its options in `OPTIONS` (name -> (default, check),
    see interfaces.options), and writes `run`. `name` is unique on the device. State that every
    interface publishes: `running` (bool), and `error` (str) when it ended by an exception.
    """

    type = ""
    title = ""
    OPTIONS = {}

    def __init__(self, name, emit, title=None, **options):
        """`emit(key, value)` gets "<name>/<key>".

        Raises:
            ValueError: an option can't be used.
        """
        self.name = name
        if title is not None:
            if not isinstance(title, str) or not 0 < len(title) <= TITLE_LIMIT:
                raise ValueError(f"title must be text of 1 to {TITLE_LIMIT} characters")
            self.title = title
        self.options = self._checked(options)
        self.running = False
        self._emit = emit
        self._error = ""
        self._task = None
        self._entered = False
        # Made by the first start().
        self._ended = self._changing = self._arrived = None
        self._queue = []
        self.emit("running", False)

    def _checked(self, options):
        for key in options:
            if key not in self.OPTIONS:
                raise ValueError(f"unknown option {key}")
        checked = {}
        for key, (default, check) in self.OPTIONS.items():
            value = options.get(key, default)
            # None stands for what the hardware does by itself.
            if value is not None or default is not None:
                try:
                    value = check(value)
                except ValueError as error:
                    raise ValueError(f"{key} {error}")
            checked[key] = value
        return checked

    # For subclasses

    async def run(self):
        """The interface's loop. Cancelled by `stop`: what has to be closed goes into `finally`.

        An exception ends the interface and becomes its state `error`.
        """
        raise NotImplementedError("run")

    def check(self, text):
        """Check a message before it is queued.

        Raises:
            ValueError: the interface can't take it; the text is for the sender.
        """

    def emit(self, key, value):
        """Publish state `<name>/<key>`; for the key "msg" an event that every client gets."""
        self._emit(f"{self.name}/{key}", value)

    async def message(self):
        """Wait for the next text that was sent to the interface."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.pop(0)

    # For the device

    def send(self, text):
        """Give the interface a text.

        Raises:
            ValueError: the interface can't take it.
            NotRunning: it isn't running.
            QueueFull: it has not taken the messages before.
        """
        if not self.running:
            raise NotRunning(f"{self.name} is not running")
        if not isinstance(text, str):
            raise ValueError("a message must be text")
        data = text.encode()
        if len(data) > MESSAGE_LIMIT:
            raise ValueError(f"a message must not be longer than {MESSAGE_LIMIT} bytes")
        if not is_utf8(data):
            raise ValueError("a message must be valid Unicode")
        self.check(text)
        if len(self._queue) >= QUEUE_LIMIT:
            raise QueueFull(f"{self.name} is busy: {QUEUE_LIMIT} messages are waiting")
        self._queue.append(text)
        self._arrived.set()

    async def start(self):
        """Run the interface; nothing happens when it runs already."""
        if self._changing is None:
            self._changing = asyncio.Lock()
            self._ended = asyncio.Event()
            self._arrived = asyncio.Event()
        # Not `async with`: leaving it takes memory, and without that the lock stays for ever.
        await self._changing.acquire()
        try:
            if self.running:
                return
            self._set_error("")
            self._queue.clear()
            self._entered = False
            self._ended.clear()
            self._task = asyncio.create_task(self._supervise())
            self.running = True
            self.emit("running", True)
        finally:
            self._changing.release()

    async def stop(self):
        """End the interface and wait until it has cleaned up; nothing happens when it has."""
        if self._changing is None:
            return
        await self._changing.acquire()
        try:
            if not self.running:
                return
            self._task.cancel()
            if self._entered:
                await self._ended.wait()
            else:
                # Cancelled before its first step, a task runs nothing at all.
                self.running = False
                self.emit("running", False)
        finally:
            self._changing.release()

    async def _supervise(self):
        self._entered = True
        try:
            await self.run()
        except Exception as error:
            sys.print_exception(error, sys.stderr)
            self._set_error(f"{type(error).__name__}: {error}")
        finally:
            self.running = False
            self._ended.set()
            while not self.running:
                try:
                    self.emit("running", False)
                    break
                except MemoryError:
                    # Nobody else would ever tell that it isn't running.
                    gc.collect()
                await asyncio.sleep_ms(_RETRY_MS)

    def _set_error(self, text):
        text = printable(text.encode())
        if text != self._error:
            self._error = text
            self.emit("error", text)
