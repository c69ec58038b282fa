"""What an interface may publish: values that JSON carries, and that every reader takes alike.

`json.dumps` writes whatever it is given: NaN, bytes and sets become text that is no JSON, and one
of these in the state would be the end of every page (RFC 8259 sections 3, 6 and 8.1).
"""

from micropython import const
from utf8 import validate

# Bytes of one value, nearly: each is sent to every client, and kept.
SIZE_LIMIT = 2048

# Lists and objects within each other.
DEPTH_LIMIT = 8

# Different keys that one interface publishes; each stays in the state.
KEYS_LIMIT = 32
KEY_MAX = 32

# What `interfaces.base.Interface` itself publishes.
OWN_KEYS = ("running", "error", "failing_since", "retry_at", "stale_since", "takes_messages")

# The whole numbers that a double has exactly, which is what pages read (RFC 8259 section 6).
_WHOLE_LIMIT = const(9007199254740991)


def add_key(keys, key):
    """Add a new key to those of an interface; returns the set of them.

    Raises:
        ValueError: it can't be one; the text says why.
    """
    if not isinstance(key, str) or not 0 < len(key) <= KEY_MAX or key in OWN_KEYS:
        raise ValueError(f"{key!r} can't be a key")
    if not all([c.isalpha() or c.isdigit() or c in "_-." for c in key]):
        raise ValueError(f"{key!r}: a key has letters, digits, _, - and . only")
    if len(keys) >= KEYS_LIMIT:
        raise ValueError(f"an interface has at most {KEYS_LIMIT} keys")
    keys = keys or set()
    keys.add(key)
    return keys


def carried(value):
    """`value` as it is to be published: lists and objects are copied, so that nobody changes them
    later.

    Raises:
        ValueError: JSON can't carry it, or it is too large; the text says why.
    """
    if value is None or type(value) is bool:
        return value
    copy, size = _copy(value, DEPTH_LIMIT, SIZE_LIMIT)
    if size < 0:
        raise ValueError(f"a value has at most {SIZE_LIMIT} bytes")
    return copy


def _copy(value, depth, left):
    # Returns the copy and what is left of the bytes after it, less than 0 when it is too large.
    kind = type(value)
    if value is None or kind is bool:
        return value, left - 5
    if kind is int:
        if not -_WHOLE_LIMIT <= value <= _WHOLE_LIMIT:
            raise ValueError("a whole number is at most 2**53 - 1, or text")
        return value, left - 4
    if kind is float:
        if value - value != 0:  # NaN and the infinities
            raise ValueError(f"{value} is no number in JSON")
        return value, left - 8
    if kind is str:
        return value, left - 2 - _text_size(value, left)
    is_list = isinstance(value, (list, tuple))
    if not is_list and not isinstance(value, dict):
        raise ValueError(f"{kind.__name__} is nothing that JSON carries")
    if depth == 0:
        raise ValueError(f"lists and objects are nested {DEPTH_LIMIT} deep at most")
    left -= 2
    if is_list:
        items = []
        for each in value:
            each, left = _copy(each, depth - 1, left - 2)
            if left < 0:
                break
            items.append(each)
        return items, left
    items = {}
    for key in value:
        if type(key) is not str:
            raise ValueError("an object's keys are text")
        left -= 6 + _text_size(key, left)
        items[key], left = _copy(value[key], depth - 1, left)
        if left < 0:
            break
    return items, left


def _text_size(text, most):
    size = len(memoryview(text))
    if size <= most and validate(text, 0, size, 0):
        raise ValueError("a text must be valid Unicode")
    return size
