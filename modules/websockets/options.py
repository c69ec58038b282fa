"""What a server, or a client, is configured with for its connections."""

from micropython import const

# Sizes are those of Python's `websockets` (1 MiB, 16 frames, 32 KiB), cut to what a chip has.
_MAX_SIZE = const(32_768)
_MAX_QUEUE = const(4)
_WRITE_LIMIT = const(8192)

# What None stands for: no limit. The largest small integer on a chip.
_NO_LIMIT = const(0x3FFFFFFF)


class Options:
    """What `serve` and `connect` configure for their connections; the names are theirs.

    Times are in seconds, None for never; sizes in bytes, None for no limit.
    """

    def __init__(
        self,
        ping_interval=20,
        ping_timeout=20,
        close_timeout=10,
        max_size=_MAX_SIZE,
        max_queue=_MAX_QUEUE,
        write_limit=_WRITE_LIMIT,
        compression=None,
    ):
        if compression not in (None, "deflate"):
            raise ValueError('compression is None or "deflate"')
        self.compression = compression
        self.ping_interval = _ms(ping_interval)
        self.ping_timeout = _ms(ping_timeout)
        self.close_timeout = _ms(close_timeout)
        self.max_size = max_size
        self.max_queue = _NO_LIMIT if max_queue is None else max_queue
        self.write_limit = _NO_LIMIT if write_limit is None else write_limit


def _ms(seconds):
    return None if seconds is None else int(seconds * 1000)
