"""The hardware of the host board: what the unix port's `machine` has, and simulated peripherals.

Follows docs/library/machine of MicroPython and the ESP32 port for what the product uses. What
stands for the hardware is in the device's filesystem:

- `unique_id`: the chip's number, made at first use.
- `gpio_sim.json`: levels that drive input pins, such as {"4": 1}. It is read again whenever its
  text changes, each time a pin is read, and every `Pin.WATCH_MS` while a pin has a handler.
- `uart<N>.pty`: the path of the pseudo-terminal that is the wire of UART N, written when the
  UART is opened; `screen $(cat uart1.pty)` is the device at its other end.
"""

import asyncio
import io
import json
import os
import select
import sys

import hostio
import micropython

# The built-in module, which this one hides.
from umachine import *  # noqa: F403
from umachine import PinBase

# Where the files are: the device's filesystem.
FOLDER = "/"

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_ID_SIZE = 6
_RESET_VARIABLE = "WEBSOCK_RESET_CAUSE"

# MP_STREAM_GET_FILENO (py/stream.h)
_GET_FILENO = 10


def unique_id():
    """6 bytes, as on the ESP32 the chip's MAC address: unicast, locally administered."""
    path = FOLDER + "unique_id"
    try:
        with open(path, "rb") as file:
            own = file.read(_ID_SIZE)
    except OSError:
        own = b""
    if len(own) != _ID_SIZE:
        own = bytearray(os.urandom(_ID_SIZE))
        own[0] = own[0] & 0xFC | 2
        with open(path, "wb") as file:
            file.write(own)
    return bytes(own)


def reset():
    """Start the program anew, as a chip does when it is reset."""
    os.putenv(_RESET_VARIABLE, str(HARD_RESET))
    hostio.restart()


def reset_cause():
    """PWRON_RESET after a start from outside, HARD_RESET after `reset()`."""
    return int(os.getenv(_RESET_VARIABLE) or PWRON_RESET)


class _Pad:
    """What one pin of the chip is set to, whichever `Pin` objects there are for it."""

    def __init__(self):
        self.mode = Pin.IN
        self.pull = None
        self.output = 0
        self.handler = None
        self.trigger = 0
        self.seen = 0


class Pin(PinBase):
    """One pin; every `Pin(n)` is a view of the same one."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    # How often the file is looked at for pins that have a handler.
    WATCH_MS = 20

    _pads = {}
    _text = ""
    _driven = {}
    _watching = False

    def __init__(self, id, mode=None, pull=-1, *, value=None):
        if isinstance(id, Pin):
            id = id.id
        # The ESP32 has GPIO 0 to 39, but for these.
        if type(id) is not int or not 0 <= id < 40 or id in (20, 24, 28, 29, 30, 31):
            raise ValueError("invalid pin")
        if id not in Pin._pads:
            Pin._pads[id] = _Pad()
        self.id = id
        self._pad = Pin._pads[id]
        self.init(mode, pull, value=value)

    def init(self, mode=None, pull=-1, *, value=None):
        """Set direction, pull resistor and level; what is not given stays as it is."""
        if mode is not None and mode != Pin.IN and self.id >= 34:
            raise ValueError("pin can only be input")
        if value is not None:
            self._pad.output = int(bool(value))
        if mode is not None:
            self._pad.mode = mode
        if pull != -1:
            self._pad.pull = pull
        self._notice()

    def value(self, level=None):
        """The level at the pin, 0 or 1; with an argument, set what the pin puts out."""
        if level is None:
            Pin._read_file()
        else:
            self._pad.output = int(bool(level))
        self._notice()
        return self._level() if level is None else None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._pad.output)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING):
        """Call `handler(pin)` soon after an edge of the kind `trigger`; None: no longer.

        Edges that come from the file are seen while an asyncio event loop runs.
        """
        Pin._read_file()
        self._pad.handler = handler
        self._pad.trigger = trigger
        self._pad.seen = self._level()
        if handler is not None and not Pin._watching:
            Pin._watching = True
            asyncio.create_task(Pin._watch())

    def __repr__(self):
        return f"Pin({self.id})"

    def _level(self):
        pad = self._pad
        if pad.mode != Pin.IN:
            return pad.output
        return Pin._driven.get(self.id, int(pad.pull == Pin.PULL_UP))

    def _notice(self):
        """Call the handler when the level is another than at the last look."""
        pad = self._pad
        level = self._level()
        if level == pad.seen:
            return
        pad.seen = level
        edge = Pin.IRQ_RISING if level else Pin.IRQ_FALLING
        if pad.handler is not None and pad.trigger & edge:
            micropython.schedule(pad.handler, self)

    @staticmethod
    def _read_file():
        try:
            with open(FOLDER + "gpio_sim.json") as file:
                text = file.read()
        except OSError:
            text = "{}"
        if text == Pin._text:
            return
        Pin._text = text
        try:
            levels = json.loads(text).items()
            Pin._driven = {int(id): int(bool(level)) for id, level in levels}
        except (ValueError, AttributeError) as error:
            print(f"gpio_sim.json: {error!r}", file=sys.stderr)

    @staticmethod
    async def _watch():
        while True:
            watched = [id for id, pad in Pin._pads.items() if pad.handler is not None]
            if not watched:
                break
            Pin._read_file()
            for id in watched:
                Pin(id)._notice()
            await asyncio.sleep_ms(Pin.WATCH_MS)
        Pin._watching = False


class UART(io.IOBase):
    """A UART whose wire is a pseudo-terminal.

    Bytes go through as fast as they can be written, whatever the settings: those are only
    checked. What is written is gone, as on a wire, when the other end does not read it.
    """

    IDS = (0, 1, 2)

    # A wire outlives the object: a program at the other end stays connected when the UART is
    # closed and opened again.
    _wires = {}

    def __init__(self, id, *args, **settings):
        if id not in self.IDS:
            raise ValueError(f"UART({id}) does not exist")
        self._id = id
        self._settings = {"baudrate": 115200, "bits": 8, "parity": None, "stop": 1, "timeout": 0}
        self._wire = None
        self.init(*args, **settings)

    def init(self, baudrate=None, bits=None, parity=-1, stop=None, **settings):
        """Take new settings: `tx` and `rx` pins, `txbuf` and `rxbuf` sizes, `timeout` in ms.

        What is not given stays as it is. Raises ValueError for what the ESP32 cannot do.
        """
        if bits not in (None, 5, 6, 7, 8):
            raise ValueError("invalid data bits")
        if stop not in (None, 1, 2):
            raise ValueError("invalid stop bits")
        for key in settings:
            if key not in ("tx", "rx", "txbuf", "rxbuf", "timeout", "timeout_char"):
                raise TypeError(f"unexpected keyword argument '{key}'")
        for key in ("tx", "rx"):
            if key in settings:
                settings[key] = Pin(settings[key]).id
        # The ring buffer holds more than the hardware's queue of 128 bytes.
        if not 128 < settings.get("rxbuf", 256) < 65536:
            raise ValueError("invalid rxbuf")
        if parity != -1:
            settings["parity"] = parity
        for key, value in (("baudrate", baudrate), ("bits", bits), ("stop", stop)):
            if value is not None:
                settings[key] = value
        self._settings.update(settings)
        if self._wire is None:
            self._open()

    def _open(self):
        if self._id not in self._wires:
            fd, path = hostio.openpty()
            # Bound to a name that lives as long as the program: the file closes the descriptor.
            self._wires[self._id] = open(fd, "r+b"), fd, path
        self._wire, self._fd, path = self._wires[self._id]
        with open(f"{FOLDER}uart{self._id}.pty", "w") as file:
            file.write(path)
        # A receiver that was off did not hear what came meanwhile.
        while self._wire.read(256):
            pass

    def deinit(self):
        """Turn the UART off; using it then raises OSError until `init()`."""
        self._wire = None

    def _on(self):
        if self._wire is None:
            raise OSError("UART not initialised")
        return self._wire

    def any(self):
        """Whether there is something to read: a positive number, or 0."""
        return int(self._wait(0))

    def _wait(self, timeout_ms):
        poller = select.poll()
        poller.register(self._on(), select.POLLIN)
        return bool(poller.poll(timeout_ms))

    def read(self, nbytes=-1):
        """Up to `nbytes` bytes (-1: all there are), None when there are none."""
        self._wait(self._settings["timeout"])
        return self._on().read(nbytes) or None

    def readinto(self, buf, nbytes=None):
        """Read into `buf`; returns the number of bytes, None for none."""
        self._wait(self._settings["timeout"])
        wire = self._on()
        return (wire.readinto(buf) if nbytes is None else wire.readinto(buf, nbytes)) or None

    def readline(self):
        """Bytes up to and with a line feed, or what there is; None for nothing."""
        self._wait(self._settings["timeout"])
        return self._on().readline() or None

    def write(self, buf):
        """Send `buf`; returns its length."""
        self._on().write(buf)
        return len(buf)

    def txdone(self):
        """Whether everything has been sent."""
        self._on()
        return True

    def flush(self):
        """Wait until everything has been sent."""
        self._on()

    def ioctl(self, request, argument):
        # The poller waits on the descriptor itself.
        if request == _GET_FILENO and self._wire is not None:
            return self._fd
        return -22  # EINVAL

    def __repr__(self):
        return f"UART({self._id}, {self._settings})"
