"""MicroPython's `deflate` as far as `httpd` uses it: inflating what is frozen."""

import zlib

AUTO, RAW, ZLIB, GZIP = range(4)

_WBITS = {AUTO: 47, RAW: -15, ZLIB: 15, GZIP: 31}
_BLOCK = 1024


class DeflateIO:
    """A stream that inflates another.

    Args:
        stream: has `read`.
        format: AUTO, RAW, ZLIB or GZIP.
        wbits: of no consequence here.
    """

    def __init__(self, stream, format=AUTO, wbits=0, close=False):
        self._stream = stream
        self._inflate = zlib.decompressobj(_WBITS[format])
        self._data = b""

    def readinto(self, buffer):
        """Fill a buffer as far as there is something; gives how many bytes."""
        while not self._data and not self._inflate.eof:
            packed = self._stream.read(_BLOCK)
            if not packed:
                raise EOFError
            self._data = self._inflate.decompress(packed)
        n = min(len(buffer), len(self._data))
        buffer[:n], self._data = self._data[:n], self._data[n:]
        return n

    def close(self):
        """Let go of the stream."""
        self._stream.close()
