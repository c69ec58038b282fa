"""Which settings can't work together, or not on this board."""

import board

_PORTS = ("http/port", "https/port", "websocket/port")
_ADDRESSES = ("http/ip", "https/ip", "websocket/ip")


def check(path, value, get):
    """Check a field's new value beside the others.

    Args:
        path, value: of the field, which is of the right kind.
        get: gives the value of another field by its path.

    Raises:
        ValueError: the text says what it must be.
    """
    if path in _PORTS:
        if value == 0:
            # On a computer 0 picks a free port, whose number is printed; on a chip nobody sees it.
            if path != "https/port" and board.chip is not None:
                raise ValueError("must not be 0: nobody would find the device")
            return
        for other in _PORTS:
            if other != path and get(other) == value:
                raise ValueError(f"must not be that of {other}")
    elif path in _ADDRESSES and not board.is_own_address(value):
        raise ValueError("must be an address of the device, or 0.0.0.0 for all")
