"""Forms with files: multipart/form-data (RFC 7578), read as it comes."""

from http11 import BadMessage

from .errors import HTTPError

# Bytes of a part's header, and parts of one form.
HEAD_MAX = 1024
PARTS_MAX = 32

# RFC 2046 section 5.1.1.
BOUNDARY_MAX = 70

_PREAMBLE, _AFTER, _HEAD, _DATA, _EPILOGUE = range(5)


class Parser:
    """Finds the parts in a body, in any cut of its bytes. No I/O.

    Args:
        boundary: what stands between the parts (RFC 2046 section 5.1.1).
    """

    def __init__(self, boundary):
        self._delimiter = b"\r\n--" + boundary.encode()
        # The first delimiter may be at the very beginning.
        self._buffer = bytearray(b"\r\n")
        self._state = _PREAMBLE
        self._parts = 0

    @property
    def done(self):
        """Whether the last part has ended."""
        return self._state == _EPILOGUE

    def receive(self, data):
        """Take more of the body.

        Returns:
            A list of what is in it: the fields of a part that begins (a dict), and pieces of its
            content (bytes).

        Raises:
            BadMessage: it isn't what the RFC says.
        """
        buffer = self._buffer
        buffer.extend(data)
        found = []
        while True:
            state = self._state
            if state == _EPILOGUE:
                self._buffer = bytearray()
                return found
            if state == _AFTER:
                # Behind a delimiter: "--" ends the last part, a line's end begins another.
                if len(buffer) < 2:
                    return found
                if buffer[:2] == b"--":
                    self._state = _EPILOGUE
                    continue
                end = buffer.find(b"\r\n")
                if end < 0:
                    if len(buffer) > BOUNDARY_MAX:
                        raise BadMessage(400, "malformed boundary")
                    return found
                if buffer[:end].strip(b" \t"):
                    raise BadMessage(400, "malformed boundary")
                # This line's end is also the first of the header's.
                buffer = self._buffer = buffer[end:]
                self._state = _HEAD
            elif state == _HEAD:
                end = buffer.find(b"\r\n\r\n")
                if (len(buffer) if end < 0 else end) > HEAD_MAX:
                    raise BadMessage(431, "a part's header over " + str(HEAD_MAX) + " bytes")
                if end < 0:
                    return found
                self._parts += 1
                if self._parts > PARTS_MAX:
                    raise BadMessage(413, "more than " + str(PARTS_MAX) + " parts")
                found.append(_fields(bytes(buffer[2:end])))
                # Content may be empty: the next delimiter's line end is this header's last.
                buffer = self._buffer = buffer[end + 2 :]
                self._state = _DATA
                self._first = True
            else:
                at = buffer.find(self._delimiter)
                keep = len(self._delimiter) - 1
                stop = at if at >= 0 else max(0, len(buffer) - keep)
                start = 0
                if state == _DATA and self._first:
                    if at < 0 and stop < 2:
                        return found
                    # Without content the delimiter begins with the header's end.
                    start = 0 if at == 0 else 2
                    self._first = False
                if state == _DATA and stop > start:
                    found.append(bytes(buffer[start:stop]))
                if at < 0:
                    self._buffer = buffer[stop:]
                    return found
                buffer = self._buffer = buffer[at + keep + 1 :]
                self._state = _AFTER


def _fields(head):
    fields = {}
    try:
        text = str(head, "utf-8")
    except ValueError:
        raise BadMessage(400, "malformed header of a part")
    for line in text.split("\r\n"):
        name, found, value = line.partition(":")
        if line:
            if not found or not name or name.strip() != name:
                raise BadMessage(400, "malformed header of a part")
            fields[name.lower()] = value.strip()
    return fields


def parameters(value):
    """The parameters of a field as a dict: `form-data; name="a"`."""
    found = {}
    rest = value.partition(";")[2]
    while rest:
        name, equals, rest = rest.partition("=")
        if not equals:
            break
        rest = rest.strip()
        if rest.startswith('"'):
            content, i = "", 1
            while i < len(rest) and rest[i] != '"':
                if rest[i] == "\\" and i + 1 < len(rest):
                    i += 1
                content += rest[i]
                i += 1
            rest = rest[i + 1 :].partition(";")[2]
        else:
            content, _, rest = rest.partition(";")
            content = content.strip()
        found[name.strip().lower()] = content
    return found


class Part:
    """A field of a form, or a file.

    Attributes:
        name: the field's.
        filename: as the browser says, "" for a field; never use it as a path.
        content_type: as the browser says.
        headers: its fields by lower-case name.
    """

    length = None

    def __init__(self, form, headers):
        self._form = form
        self.headers = headers
        disposition = headers.get("content-disposition", "")
        if disposition.partition(";")[0].strip().lower() != "form-data":
            raise BadMessage(400, "a part that is none of a form")
        found = parameters(disposition)
        self.name = _unescaped(found.get("name", ""))
        self.filename = _unescaped(found.get("filename", ""))
        self.content_type = headers.get("content-type", "text/plain")

    def __aiter__(self):
        return self

    async def __anext__(self):
        piece = await self._form.piece(self)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self, limit=8192):
        """Its content.

        Raises:
            HTTPError: 413 over the limit.
        """
        content = bytearray()
        async for piece in self:
            if len(content) + len(piece) > limit:
                raise HTTPError(413, self.name + " over " + str(limit) + " bytes")
            content.extend(piece)
        return content

    async def text(self, limit=8192):
        """Its content as str; HTTPError 400 when it isn't UTF-8."""
        try:
            return str(await self.read(limit), "utf-8")
        except ValueError:
            raise HTTPError(400, self.name + " is not text")

    async def save(self, path, limit, check=None):
        """Store it as the file at `path`: see `files.receive_file`."""
        from .files import receive_file

        return await receive_file(self, path, limit, check)


class Form:
    """The parts of a request's form, one after another: `async for part in Form(request)`.

    What of a part isn't read is passed over.

    Raises:
        HTTPError: 415 for another type of body, 400 for a malformed one.
    """

    def __init__(self, request):
        value = request.headers.get("content-type", "")
        if value.partition(";")[0].strip().lower() != "multipart/form-data":
            raise HTTPError(415, "send multipart/form-data")
        boundary = parameters(value).get("boundary", "")
        if not 0 < len(boundary) <= BOUNDARY_MAX:
            raise HTTPError(400, "malformed boundary")
        self._request = request
        self._parser = Parser(boundary)
        self._found = []
        self._part = None

    def __aiter__(self):
        return self

    async def __anext__(self):
        while True:
            found = await self._next()
            if found is None:
                self._part = None
                raise StopAsyncIteration
            if isinstance(found, dict):
                self._part = Part(self, found)
                return self._part

    async def piece(self, part):
        """The next bytes of the part that is read, None at its end; for `Part`."""
        if part is not self._part:
            return None
        found = await self._next()
        if isinstance(found, dict):
            # The next part: not this one's.
            self._found.insert(0, found)
            found = None
        if found is None:
            self._part = None
        return found

    async def _next(self):
        while not self._found:
            if self._parser.done:
                return None
            piece = await self._request.connection.next_piece()
            if piece is None:
                raise HTTPError(400, "form not complete")
            self._found = self._parser.receive(piece)
        return self._found.pop(0)


def _unescaped(text):
    # HTML Living Standard, multipart/form-data encoding algorithm: what browsers escape.
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
