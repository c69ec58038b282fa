"""The base class of interfaces: what to write to add a piece of hardware to the device.

    from interfaces.base import Interface

    class Thermometer(Interface):
        type = "thermometer"
        title = "Thermometer"
        OPTIONS = (
            ("period_s", "integer", 1, 3600, 10, "Seconds from one reading to the next"),
        )
        VALUES = (("celsius", "°C", 1, -40, 125),)

        async def run(self):
            while True:
                self.emit("celsius", read_the_sensor())
                await asyncio.sleep(self.options["period_s"])

An interface that takes text awaits `self.message()` in its loop.
"""

import asyncio
import gc

import clock
from fields import HARDWARE, BadField
from fields import check as check_field
from micropython import const
from transport import poller
from utf8 import is_utf8, printable

# Texts that wait for the interface. A person types slower than any interface answers; what comes
# faster is refused, not stored.
QUEUE_LIMIT = 16

# Bytes of one text as UTF-8: more than a line of any serial protocol, and QUEUE_LIMIT of them
# still fit the heap.
MESSAGE_LIMIT = 1024

TITLE_LIMIT = 64

# The wait before an interface that failed is started again, which doubles up to the last.
RETRY_FIRST_S = 1
RETRY_LAST_S = 300

# An interface that has run for so long has not failed again.
SOUND_S = 10

# The end of an interface that there is no memory to publish is tried again after so long.
_RETRY_MS = const(100)


# interfaces.values, from the first value on.
_values = None


def _import_values():
    global _values
    from . import values

    _values = values


class Interface:
    """One configured piece of hardware.

    A subclass sets `type` and `title`, lists its options and values, and writes `run`. `name` is
    unique on the device. State that every interface publishes: `running`; `error` while it fails,
    with `failing_since` and `retry_at`; and `stale_since` while nobody knows whether its values
    still hold. Times are seconds since the device's start.
    """

    type = ""
    title = ""

    # Rows of name, kind, least, most, default and help: the first three are a rule of `fields`.
    # The default `...` stands for an option that has to be given, None for what the hardware does
    # by itself.
    OPTIONS = ()

    # Rows of key, unit, decimals, least and most, for pages: None for what isn't known.
    VALUES = ()

    # Whether there is something to be sent; None: as soon as it waits for a message.
    takes_messages = None

    # What it takes, in few words, for people.
    message_help = ""

    # Seconds after which a value that wasn't published again is stale; None: as long as it runs,
    # for what publishes changes only.
    fresh_s = None

    # Whether what was published last still holds when it has ended, as an output's level does.
    holds = False

    # What most instances never have otherwise takes no room in them.
    running = False
    starts = True
    histories = None  # History by key, from the first number on
    recent = ()  # the last messages, a list, of one that keeps some
    _keys = ()  # a set, from the first value on
    _error = ""
    _task = None
    _entered = False
    _queue = ()  # a list, once it runs
    # Times, in seconds since the start.
    _begun = _heard = _stale = _retry = None
    # Made when there is somebody to wait.
    _ended = _changing = _arrived = None

    def __init__(self, name, emit, title=None, start=True, **options):
        """`emit(key, value)` gets "<name>/<key>".

        Raises:
            ValueError: an option can't be used.
        """
        self.name = name
        if title is not None:
            if not isinstance(title, str) or not 0 < len(title) <= TITLE_LIMIT:
                raise BadField("title", f"title must be text of 1 to {TITLE_LIMIT} characters")
            self.title = title
        if type(start) is not bool:
            raise BadField("start", "start must be true or false")
        if not start:
            self.starts = False
        self.options = self._checked(options)
        self._publish = emit
        self._state("running", False)

    def _checked(self, options):
        rows = self.OPTIONS
        for key in options:
            if not any([row[0] == key for row in rows]):
                raise BadField(key, f"unknown option {key}")
        checked = {}
        for key, kind, least, most, default, _ in rows:
            value = options.get(key)
            if value is None:
                if default is ...:
                    raise BadField(key, f"{key} has to be given")
                value = default
            else:
                try:
                    value = check_field(kind, least, most, value)
                except ValueError as error:
                    raise BadField(key, f"{key} {error}")
            checked[key] = value
        return checked

    # For subclasses

    async def run(self):
        """The interface's loop. Cancelled by `stop`: what has to be closed goes into `finally`.

        An exception becomes the state `error`, and the interface is run again after a while. One
        that returns has ended.
        """
        raise NotImplementedError("run")

    def prepare(self):
        """Bring the hardware into the state that it has from the device's start on, at once: it
        is called before there is a network, for an interface that starts by itself."""

    def check(self, text):
        """Check a message before it is queued.

        Raises:
            ValueError: the interface can't take it; the text is for the sender.
        """

    def connection(self):
        """What the interface is connected to, for people: "GPIO 4"."""
        return ""

    def claims(self):
        """Yields what of the chip is the interface's alone: option, kind and number."""
        for key, kind, _, _, _, _ in self.OPTIONS:
            value = self.options[key]
            if value is not None and kind in HARDWARE:
                yield key, kind, value

    def values(self):
        """The rows of VALUES as they are for this one."""
        return self.VALUES

    def emit(self, key, value):
        """Publish state `<name>/<key>`; for the key "msg" an event that every client gets.

        Raises:
            ValueError: JSON can't carry the value (interfaces.values), or the key can't be one.
        """
        if _values is None:
            _import_values()
        value = _values.carried(value)
        if key != "msg":
            if key not in self._keys:
                self._keys = _values.add_key(self._keys, key)
            self._heard = clock.seconds()
            if self._stale is not None:
                self._stale = None
                self._state("stale_since", None)
            if type(value) is int or type(value) is float:
                from .history import remember

                remember(self, key, value, self._heard)
        self._publish(f"{self.name}/{key}", value)

    async def message(self):
        """Wait for the next text that was sent to the interface."""
        if self.takes_messages is None:
            self.takes_messages = True
            self._state("takes_messages", True)
        if self._arrived is None:
            self._arrived = asyncio.Event()
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.pop(0)

    # For the device; `description`, what pages are told of it, is set by `interfaces.create`

    # Whether it could be made at all.
    usable = True

    @property
    def idle(self):
        """Whether it neither runs nor waits to be run again."""
        return self._task is None

    def send(self, text):
        """Give the interface a text.

        Raises:
            ValueError: the interface can't take it.
            NotRunning: it isn't running.
            QueueFull: it has not taken the messages before.
        """
        if not self.running:
            from .errors import NotRunning

            raise NotRunning(f"{self.name} is not running")
        if self.takes_messages is False:
            raise ValueError(f"{self.name} takes no messages")
        if not isinstance(text, str):
            raise ValueError("a message must be text")
        data = text.encode()
        if len(data) > MESSAGE_LIMIT:
            raise ValueError(f"a message must not be longer than {MESSAGE_LIMIT} bytes")
        if not is_utf8(data):
            raise ValueError("a message must be valid Unicode")
        self.check(text)
        if len(self._queue) >= QUEUE_LIMIT:
            from .errors import QueueFull

            raise QueueFull(f"{self.name} is busy: {QUEUE_LIMIT} messages are waiting")
        self._queue.append(text)
        if self._arrived is not None:
            self._arrived.set()

    async def start(self):
        """Run the interface, one that waits to be run again at once; nothing happens when it runs
        already."""
        lock = await self._begin_change()
        try:
            if self.running:
                return
            await self._end()
            self._set_error("")
            self._entered = False
            self._begin()
            self._task = asyncio.create_task(self._supervise())
        finally:
            self._end_change(lock)

    async def stop(self):
        """End the interface and wait until it has cleaned up; nothing happens when it has."""
        lock = await self._begin_change()
        try:
            await self._end()
        finally:
            self._end_change(lock)

    # Not `async with`: leaving it takes memory, and without that the lock stays for ever.

    async def _begin_change(self):
        lock = self._changing
        if lock is None:
            lock = self._changing = asyncio.Lock()
        await lock.acquire()
        return lock

    def _end_change(self, lock):
        lock.release()
        if not lock.state:  # nobody is next
            self._changing = None

    async def _end(self):
        if self._task is None:
            return
        if self._entered:
            if self._ended is None:
                self._ended = asyncio.Event()
            self._task.cancel()
            await self._ended.wait()
        else:
            self._task.cancel()
            # Cancelled before its first step, a task runs nothing at all.
            self._task = None
            self._set_stopped()

    def _begin(self):
        self._queue = []
        self.running = True
        self._begun = clock.seconds()
        self._set_retry(None)
        self._state("running", True)

    async def _supervise(self):
        self._entered = True
        wait_s = RETRY_FIRST_S
        try:
            while True:
                try:
                    await self.run()
                    return
                except (Exception, SystemExit) as error:
                    if self._ended is not None:
                        # It was cancelled, whatever it has raised instead.
                        poller.report(f"interface {self.name}", error)
                        return
                    if clock.seconds() - self._begun >= max(SOUND_S, wait_s):
                        wait_s = RETRY_FIRST_S
                    self._failed(error, wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_LAST_S)
                self._begin()
        finally:
            self.running = False
            self._task = None
            if self._ended is not None:
                self._ended.set()
                self._ended = None
            while self._task is None:
                try:
                    self._set_stopped()
                    break
                except MemoryError:
                    # Nobody else would ever tell that it isn't running.
                    gc.collect()
                await asyncio.sleep_ms(_RETRY_MS)

    def _failed(self, error, wait_s):
        text = f"{type(error).__name__}: {error}"
        if text != self._error:
            poller.report(f"interface {self.name}", error)
        try:
            self._set_stopped()
            self._set_error(text)
            self._set_retry(clock.seconds() + wait_s)
        except MemoryError:
            gc.collect()  # it is run again all the same

    def _set_stopped(self):
        self.running = False
        self._state("running", False)
        self._set_retry(None)
        now = clock.seconds()
        if self.histories:
            for history in self.histories.values():
                history.end(now)
        if self._heard is not None and not self.holds:
            self._set_stale(self._heard if self.fresh_s else now)

    def look(self):
        """See whether it has recovered, and whether its values are fresh; called once a second."""
        if not self.running:
            return
        now = clock.seconds()
        if self._error and now - self._begun >= SOUND_S:
            self._set_error("")
        if self.fresh_s and self._heard is not None and now - self._heard > self.fresh_s:
            self._set_stale(self._heard)

    def refresh(self):
        """Bring the histories up to this moment: what holds isn't published again."""
        if self.histories and self._stale is None:
            now = clock.seconds()
            for history in self.histories.values():
                history.reach(now)

    def _set_stale(self, since):
        if self._stale is None:
            self._stale = since
            self._state("stale_since", since)

    def _set_error(self, text):
        text = printable(text.encode())
        if text != self._error:
            if not text or not self._error:
                self._state("failing_since", clock.seconds() if text else None)
            self._error = text
            self._state("error", text)

    def _set_retry(self, at):
        if at != self._retry:
            self._retry = at
            self._state("retry_at", at)

    def _state(self, key, value):
        # What the class itself publishes.
        self._publish(f"{self.name}/{key}", value)

    def forget(self):
        """Take back all that was published: it is no longer the device's."""
        from .values import OWN_KEYS

        for key in OWN_KEYS + tuple(self._keys):
            self._state(key, None)
