"""Simulated UARTs, see the package."""

import io
import select

import hostio

import machine

from .pin import Pin

# MP_STREAM_GET_FILENO (py/stream.h)
_GET_FILENO = 10


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

        What is not given stays as it is.

        Raises:
            ValueError: the ESP32 can't do that.
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
        with open(f"{machine.FOLDER}uart{self._id}.pty", "w") as file:
            file.write(path)
        # A receiver that was off did not hear what came meanwhile.
        while self._wire.read(256):
            pass

    def deinit(self):
        """Turn the UART off; until `init()` every use of it is an OSError."""
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
