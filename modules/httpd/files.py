"""Files of the filesystem: sent without being held in RAM, and replaced by uploads."""

import os
from errno import ENOENT

from .errors import HTTPError
from .ranges import content_range, part_of
from .response import Response

# Bytes read from a file at a time; every response under way has one such buffer.
BLOCK = 1024

# What is being received stands beside the file that it will replace, under this suffix.
PART = ".part"

_TYPES = (
    (".htm", "text/html; charset=utf-8"),
    (".html", "text/html; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".json", "application/json"),
    (".svg", "image/svg+xml"),
    (".png", "image/png"),
    (".ico", "image/x-icon"),
    (".txt", "text/plain; charset=utf-8"),
)

# Paths that are being written.
_receiving = set()


class Blocks:
    """The bytes of a stream as pieces, all in one buffer: a piece is valid until the next.

    Args:
        stream: what has `readinto` and `close`.
        length: bytes to produce.
        skip: bytes to leave out first.
    """

    def __init__(self, stream, length, skip=0):
        self._stream = stream
        self._left = length
        self._skip = skip
        self._buffer = None

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            raise StopIteration
        if self._buffer is None:
            self._buffer = memoryview(bytearray(BLOCK))
        while self._skip:
            self._skip -= self._read(self._skip)
        n = self._read(self._left)
        self._left -= n
        return self._buffer[:n]

    def _read(self, most):
        n = self._stream.readinto(self._buffer[:most] if most < BLOCK else self._buffer)
        if not n:
            raise OSError("shorter than it was")
        return n

    def close(self):
        """Close the stream; for a response that isn't sent to its end."""
        self._stream.close()


def file_response(request, path, headers=()):
    """The response with the content of the file at `path`, or the part that is asked for.

    Args:
        headers: further (name, value) pairs.

    Raises:
        HTTPError: 404 when there is no such file, 416.
    """
    try:
        mode, size = _kind_and_size(path)
        if mode & 0x4000:  # a folder
            raise HTTPError(404)
        part = part_of(request, size)
        file = open(path, "rb")
    except OSError:
        raise HTTPError(404)
    content_type = "application/octet-stream"
    for extension, kind in _TYPES:
        if path.endswith(extension):
            content_type = kind
    headers = tuple(headers) + (("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff"))
    if part is None:
        return Response(Blocks(file, size), 200, content_type, headers, length=size)
    file.seek(part[0])
    headers += (content_range(part, size),)
    return Response(Blocks(file, part[1]), 206, content_type, headers, length=part[1])


def _kind_and_size(path):
    status = os.stat(path)
    return status[0], status[6]


async def receive_file(request, path, limit, check=None):
    """Store a request's body as the file at `path`, piece by piece.

    The file is replaced in one step once everything is on flash; an upload that fails or is
    abandoned leaves what was there and nothing beside it.

    Args:
        request: the `Request`.
        path: of the file, in a folder that exists.
        limit: bytes at most.
        check: called once everything has arrived; what it raises ends the upload.

    Returns:
        (size, created): the bytes stored, and whether there was no such file before.

    Raises:
        HTTPError: 413 over the limit, 409 while another upload to `path` is under way, 408 or
            400 when the client doesn't send it all.
        OSError: the file can't be written: `errors.from_exception` makes 507 of a full flash.
    """
    length = request.length
    if length is not None and length > limit:
        raise HTTPError(413, f"body over {limit} bytes")
    if path in _receiving:
        raise HTTPError(409, "another upload is under way")
    _receiving.add(path)
    part = path + PART
    size = 0
    try:
        with open(part, "wb") as file:
            async for piece in request:
                size += len(piece)
                if size > limit:
                    raise HTTPError(413, f"body over {limit} bytes")
                file.write(piece)
            file.flush()  # to the medium: fsync, lfs_file_sync
        if check is not None:
            check()
        created = not _exists(path)
        os.rename(part, path)
    except BaseException:  # a cancelled task must not leave a part either
        _remove(part)
        raise
    finally:
        _receiving.discard(path)
    return size, created


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _remove(path):
    try:
        os.remove(path)
    except OSError as error:
        if error.errno != ENOENT:
            raise
