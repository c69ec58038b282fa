"""What is left of an app that failed: its traceback, on flash and for the clients."""

from ..log import report, traceback

PATH = "/traceback.txt"

# A traceback of some 40 lines; it is also a state key, so every client gets it.
MAX_SIZE = 2048


def keep(error):
    """Keep an exception's traceback; returns it as text, cut to its last MAX_SIZE characters."""
    text = traceback(error)[-MAX_SIZE:]
    report("the app failed", error)
    try:
        with open(PATH, "w") as file:
            file.write(text)
    except OSError as failure:
        report("the traceback can't be kept", failure)
    return text


def last():
    """The traceback that was kept last, "" when there is none."""
    try:
        with open(PATH) as file:
            return file.read(MAX_SIZE)
    except OSError:
        return ""
