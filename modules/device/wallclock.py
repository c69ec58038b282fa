"""The time of day, from a server or from the page that connects; see the state `boot_time`."""

import board
import clock

# Seconds since 1970 that can be now: 2024 to 2100.
_EARLIEST = 1_704_067_200
_LATEST = 4_102_444_800


def take(hub, now, source):
    """Note what time it is.

    Args:
        hub: the `hub.Hub`, whose state `boot_time` is when the device started, in seconds since
            1970, and `time_source` who says so.
        now: seconds since 1970, int.
        source: "server" or "page", which doesn't count where a server has told it.

    Raises:
        ValueError: it can't be that time.
    """
    if type(now) is not int or not _EARLIEST <= now <= _LATEST:
        raise ValueError("the time must be whole seconds since 1970")
    state = hub.state
    if source == "page" and state.get("time_source") == "server":
        return
    boot_time = now - clock.seconds()
    # Nobody needs to know of a second.
    if source != state.get("time_source") or abs(boot_time - state.get("boot_time", 0)) > 1:
        hub.update({"boot_time": boot_time, "time_source": source})
        board.set_clock(now)


def iso(seconds):
    """Seconds since 1970 as UTC in ISO 8601."""
    import time

    # MicroPython's epoch is 2000 on chips.
    epoch = 946_684_800 if time.gmtime(0)[0] == 2000 else 0
    year, month, day, hour, minute, second = time.gmtime(seconds - epoch)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
