"""JSON files that survive a power cut while they are written.

A file is replaced by renaming, which LittleFS and POSIX do as a whole, after the new content is on
the medium; the previous content stays as `<name>.bak`. Whenever the power goes, `load` finds the
old content or the new.
"""

import json
import os
from errno import ENOENT

BACKUP = ".bak"
NEW = ".new"

# Files that were there and couldn't be used. One that is replaced is kept as `<name>.bad`: a
# person may want what is in it.
_unusable = set()

# What copies.mount has read already, by path: bytes, or None where there is no file. Each is used
# once, at the start: a look into the filesystem is some 30 accesses to flash.
preloaded = {}

# A configuration of this product has some hundred bytes; a larger file isn't one, and would not
# fit into RAM.
MAX_SIZE = 8192


def load(path, report, strict=False):
    """Read a JSON object.

    Args:
        path: of the file; `<path>.bak` is read when it can't be used.
        report: called with one line for a file that is there and can't be used.
        strict: only a file that is gone is looked for in its backup, not one that can't be used.

    Returns:
        A dict, empty when there is neither file; None then, if `strict`.

    Raises:
        ValueError: the file can't be used, and `strict`.
    """
    for name in (path, path + BACKUP):
        try:
            data = preloaded.pop(name) if name in preloaded else read(name, MAX_SIZE)
            if data is None:
                continue
            from strict_json import loads

            text = str(data, "utf-8")
            if text.startswith("\ufeff"):
                # The byte order mark that some editors write (RFC 8259 section 8.1).
                text = text[1:]
            value = loads(text)
            if not isinstance(value, dict):
                raise ValueError("not an object")
            return value
        except UnicodeError:
            problem = "not UTF-8"
        except (OSError, ValueError) as error:
            problem = str(error)
        report(f"{name} can't be used: {problem}")
        _unusable.add(name)
        if strict:
            raise ValueError(problem)
    return None if strict else {}


def read(name, limit):
    """A file's content, None when there is no such file.

    Raises:
        OSError: it can't be read.
        ValueError: it has more than `limit` bytes.
    """
    try:
        file = open(name, "rb")
    except OSError as error:
        if error.errno == ENOENT:
            return None
        raise
    with file:
        if file.seek(0, 2) > limit:
            raise ValueError(f"larger than {limit} bytes")
        file.seek(0)
        return file.read()


def save(path, value):
    """Replace a JSON object on flash.

    Raises:
        OSError, MemoryError: it can't be written, for instance ENOSPC; the old content is still
            there.
    """
    forget(path)
    new = path + NEW
    backup = path + BACKUP
    kept = False
    try:
        with open(new, "w") as file:
            json.dump(value, file)
            file.flush()  # to the medium: fsync, lfs_file_sync
        if path in _unusable:
            backup = path + ".bad"
        try:
            os.rename(path, backup)
            kept = True
        except OSError:
            pass  # the first time there is nothing to keep
        os.rename(new, path)
    except (OSError, MemoryError):
        if kept:
            os.rename(backup, path)
        _remove(new)
        raise
    _unusable.discard(path)
    if hasattr(os, "sync"):
        os.sync()


def undo(path):
    """Take back the last `save` of a file, as well as it can be.

    Raises:
        OSError: it can't be.
    """
    try:
        os.rename(path + BACKUP, path)
    except OSError as error:
        if error.errno != ENOENT:
            raise
        os.remove(path)  # it was the first one


def forget(path):
    """Forget what was preloaded of a file."""
    preloaded.pop(path, None)
    preloaded.pop(path + BACKUP, None)


def erase(path):
    """Remove a file with all that is kept of it; what isn't there is no error.

    Raises:
        OSError: some of it is still there.
    """
    forget(path)
    failure = None
    for name in (path + NEW, path + BACKUP, path + ".bad", path):
        try:
            os.remove(name)
        except OSError as error:
            if error.errno != ENOENT:
                failure = error
    if failure is not None:
        raise failure


def _remove(name):
    try:
        os.remove(name)
    except OSError:
        pass
