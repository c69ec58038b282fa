"""Small values outside of the filesystem: the chip's NVS (non-volatile storage of ESP-IDF)."""

import esp32

# Largest value; device.settings.copies keeps no larger ones.
_MAX = 2048


class Store:
    """Bytes by key. A key has up to 15 characters."""

    def __init__(self, namespace):
        self._nvs = esp32.NVS(namespace)

    def read(self, key):
        """The value, None when there is none."""
        buffer = bytearray(_MAX)
        try:
            size = self._nvs.get_blob(key, buffer)
        except OSError:
            return None
        return bytes(memoryview(buffer)[:size])

    def write(self, key, data):
        """Keep a value.

        Raises:
            OSError: NVS is full.
        """
        self._nvs.set_blob(key, data)
        self._nvs.commit()

    def remove(self, key):
        """Forget a value; one that isn't there is no error."""
        try:
            self._nvs.erase_key(key)
            self._nvs.commit()
        except OSError:
            pass


store = Store("websock")
