"""Long texts in pieces: as one they would be the largest things that are ever in memory."""

import json

import clock
from heap import BLOCK_SIZE

# Characters: 256, and half of it on a small heap.
PIECE = BLOCK_SIZE // 16


def joined(texts):
    """Short texts as fewer ones that are worth sending: of PIECE characters at most, or of one."""
    piece = ""
    for text in texts:
        if piece and len(piece) + len(text) > PIECE:
            yield piece
            piece = ""
        piece += text
    yield piece


def of_state(state):
    """The state (a dict with text keys) as a client gets it first, with the time, which never is a
    change: pieces of JSON. What changes meanwhile may be in it."""
    return joined(_texts(f'{{"uptime": {clock.seconds()}', ", ", state, list(state)))


def of_changes(state, keys):
    """The values of `keys`, null for those that are gone: pieces of JSON."""
    return joined(_texts("{", "", state, keys))


def _texts(text, comma, state, keys):
    # Of lists one item after the other.
    yield text
    for key in keys:
        value = state.get(key)
        text = comma + json.dumps(key) + ": "
        comma = ", "
        if not isinstance(value, list):
            yield text + json.dumps(value)
            continue
        yield text + "["
        text = ""
        for item in value:
            yield text + json.dumps(item)
            text = ", "
        yield "]"
    yield "}"
