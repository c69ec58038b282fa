"""asyncio's I/O queue, with entries that are called when their socket is ready.

`extmod/asyncio` wakes a task for each socket that is ready, and polls every socket before each
step of a task. A server pays for that with a waiting task per connection and, on the ESP32, with
one `select()` per socket and step. `Poller` takes the place of `asyncio.core.IOQueue`: streams
and their tasks work as before, and beside them stand *endpoints*, objects with

- `sock`: the socket, None once closed;
- `ready(events)`: called from the event loop when `poll` reports events;
- `failed(error)`: called with an exception that `ready` raised;
- `tick(now)`: called every `TICK_MS` with `time.ticks_ms()`.

This leans on names that asyncio keeps private (`core.IOQueue`, `core._io_queue`,
`core._task_queue`, `core.cur_task`), which are the same in MicroPython 1.25 to 1.29;
tests/unit/test_poller.py notices when they change.
"""

import gc
import sys
from asyncio import core
from builtins import id, list, type  # see `transport.connection`
from select import POLLIN, POLLOUT
from time import ticks_diff, ticks_ms

import micropython
from lazy import load
from micropython import const

# Steps of runnable tasks between two polls. A poll costs one select() per socket on lwIP, a step
# is short; 8 keeps the share of polling low and the delay of a socket's event under a few ms.
STEPS_PER_POLL = const(8)

# Steps, after the first, between two sockets of one poll: enough for the task that a socket made
# runnable and the few that may be due before it.
STEPS_PER_SOCKET = const(3)

# How often deadlines are looked at. Deadlines are seconds long; half a second of slack is fine
# and an idle chip wakes only twice a second.
TICK_MS = 500


# A step of a task, or a handler, that takes longer is told of: everything else has waited for it.
BLOCKED_MS = const(500)

# time.ticks_ms() when the program began.
started = ticks_ms()

# Gives the name of a task that has blocked, a str, or None for one that it doesn't know.
namer = None

# See each_loop.
_beginnings = []


class Poller(core.IOQueue):
    """`asyncio.core.IOQueue` that also serves endpoints."""

    def __init__(self):
        super().__init__()
        self._ready = []
        self._deferred = []
        self._steps = 0
        self._ticker = None
        self._left = ticks_ms()  # when the event loop was last let go on
        for begin in _beginnings:
            begin()

    def add(self, endpoint, events):
        """Watch `endpoint.sock` for `events` (POLLIN, POLLOUT) until `discard`."""
        sock = endpoint.sock
        if self._ticker is None:
            # It ends by itself when there is nothing after all.
            self._ticker = core.create_task(self._tick())
        # In this order: what poll reports has to be in the map, whichever of the two fails.
        self.map[id(sock)] = endpoint
        try:
            self.poller.register(sock, events)
        except BaseException:
            del self.map[id(sock)]
            raise

    def modify(self, sock, events):
        """Change the events that a watched socket is polled for; errors are always reported."""
        self.poller.modify(sock, events)

    def discard(self, sock):
        """Stop watching a socket; to be called before it is closed."""
        if self.map.pop(id(sock), None) is not None:
            self.poller.unregister(sock)

    def defer(self, call, argument):
        """Call `call(argument)` from the event loop, before it next waits."""
        self._deferred.append((call, argument))

    def remove(self, task):
        """Forget a task that waits for a stream (called when the task is cancelled)."""
        while True:
            found = None
            for key in self.map:
                entry = self.map[key]
                if type(entry) is list and (entry[0] is task or entry[1] is task):
                    found = entry[2]
                    break
            if found is None:
                return
            self._dequeue(found)

    @micropython.native
    def wait_io_event(self, dt):
        """Wait up to `dt` ms (-1: for ever) and handle what is ready.

        The event loop calls this before each step of a task, with `dt` 0 when one can run.
        """
        now = ticks_ms()
        if ticks_diff(now, self._left) > BLOCKED_MS and core.cur_task is not None:
            tell_blocked(ticks_diff(now, self._left), core.cur_task)
        self._left = now
        if self._deferred:
            self._call_deferred()
            if dt > 0:
                dt = 0
        elif dt == 0 and self._steps > 0:
            self._steps -= 1
            return
        if dt:
            # asyncio would keep the task that ran last, with all it holds, until another runs.
            core.cur_task = None
        ready = self._ready
        tasks = core._task_queue
        first = tasks.peek()
        if not ready:
            entries = self.map
            try:
                for sock, events in self.poller.ipoll(dt):
                    entry = entries[id(sock)]
                    if type(entry) is list:
                        self._wake(sock, entry, events)
                    else:
                        # Handled after the iteration: a handler may add and remove sockets.
                        ready.append(events)
                        ready.append(entry)
            except MemoryError:
                # What is ready is so at the next poll too. Nothing catches what leaves here: it
                # would end the event loop.
                ready.clear()
                gc.collect()
        while ready:
            endpoint = ready.pop()
            events = ready.pop()
            if endpoint.sock is not None:
                try:
                    endpoint.ready(events)
                except Exception as error:
                    _end(endpoint, error)
            if not ready:
                break
            # The task that it made runnable runs before the next socket is read, so that memory
            # holds one message on its way and not one of every connection.
            task = tasks.peek()
            # One that has become due meanwhile stays first, whatever was made runnable behind it.
            if task is not first or (task and ticks_diff(task.ph_key, ticks_ms()) <= 0):
                break
        self._steps = STEPS_PER_SOCKET if ready else STEPS_PER_POLL
        self._left = ticks_ms()

    def stood(self):
        """Milliseconds of the step that runs now; the rest of it is as if of another."""
        now = ticks_ms()
        took = ticks_diff(now, self._left)
        self._left = now
        return took

    def _call_deferred(self):
        try:
            calls, self._deferred = self._deferred, []
        except MemoryError:
            gc.collect()
            return  # until the next time
        for call, argument in calls:
            try:
                call(argument)
            except Exception as error:
                report("a deferred call failed", error)

    def _wake(self, sock, entry, events):
        if events & ~POLLOUT and entry[0] is not None:
            core._task_queue.push(entry[0])
            entry[0] = None
        if events & ~POLLIN and entry[1] is not None:
            core._task_queue.push(entry[1])
            entry[1] = None
        if entry[0] is None:
            if entry[1] is None:
                self._dequeue(sock)
            else:
                self.poller.modify(sock, POLLOUT)
        else:
            self.poller.modify(sock, POLLIN)

    async def _tick(self):
        # Runs while there are endpoints, and so also keeps the event loop from ending
        # or waiting without a time-out under them.
        while True:
            await core.sleep_ms(TICK_MS)
            now = ticks_ms()
            try:
                endpoints = [e for e in self.map.values() if type(e) is not list]
            except MemoryError:
                gc.collect()
                continue
            if not endpoints:
                self._ticker = None
                return
            for endpoint in endpoints:
                if endpoint.sock is not None:
                    try:
                        endpoint.tick(now)
                    except Exception as error:
                        _end(endpoint, error)


def _end(endpoint, error):
    try:
        endpoint.failed(error)
    except Exception as failure:
        # Closing may lack memory too; the event loop and the other endpoints go on.
        report("an endpoint could not be ended in order", failure)


def set_namer(function):
    """Have tasks that block called what `function(task)` gives, unless that is None."""
    global namer
    namer = function


def tell_blocked(ms, task, what=None):
    """Report that everything has waited for a step of `task`, or for `what`, a text."""
    try:
        load("transport.blocked", "tell")(ms, task, what)
    except MemoryError:
        pass  # the next time


def install():
    """Make asyncio use `Poller`, now and for every `new_event_loop()`; idempotent."""
    core.IOQueue = Poller
    queue = core._io_queue
    if type(queue) is not Poller:
        if queue.map:
            raise RuntimeError("import transport before tasks wait for streams")
        core._io_queue = Poller()


def each_loop(begin):
    """Call `begin` now, and whenever a new event loop is made: it may create tasks for it."""
    _beginnings.append(begin)
    begin()


def close_all():
    """Close every socket that the event loop waits for and begin with a new event loop.

    For a program whose tasks are gone, such as an app that failed.
    """
    for entry in list(core._io_queue.map.values()):
        if type(entry) is list:
            entry[2].close()
        else:
            sock, entry.sock = entry.sock, None
            sock.close()
            waiting = entry.group.waiting if hasattr(entry, "resume") else None
            while waiting:
                waiting.pop()[1].close()
    core.new_event_loop()


def current():
    """The `Poller` of the current event loop."""
    return core._io_queue


class _Suspension:
    # An awaitable that needs no allocation, as `asyncio.core.SingletonGenerator`: it is used up
    # by the await that it was made for before another can be.
    def __init__(self):
        self.queue = None
        self.stop = StopIteration()

    def __iter__(self):
        return self

    @micropython.native
    def __next__(self):
        queue, self.queue = self.queue, None
        if queue is None:
            self.stop.__traceback__ = None
            raise self.stop
        task = core.cur_task
        queue.push(task)
        task.data = queue  # lets Task.cancel() take the task out again


_suspension = _Suspension()


@micropython.native
def suspend(queue):
    """Await this to sleep until somebody wakes the tasks in `queue`, a `core.TaskQueue`."""
    _suspension.queue = queue
    return _suspension


@micropython.native
def wake(queue):
    """Make every task in `queue` runnable."""
    while queue.peek():
        core._task_queue.push(queue.pop())


def _print_report(message, error):
    print(message, file=sys.stderr)
    if error is not None:
        sys.print_exception(error, sys.stderr)


_reporter = _print_report


def set_reporter(reporter):
    """Send errors that nobody awaits to `reporter(message, exception or None)`, not to stderr."""
    global _reporter
    _reporter = reporter or _print_report


def report(message, error=None):
    """Tell of what ended something that nobody waits for; never raises.

    Args:
        message: a line.
        error: the exception, where its traceback says more.
    """
    try:
        _reporter(message, error)
    except Exception:
        # Most likely there is no memory for it. The event loop must go on all the same.
        print("an error could not be reported", file=sys.stderr)


install()
