"""Lines of text from a stream of bytes, such as a serial line."""

from utf8 import printable

# A line longer than this comes in pieces.
LINE_LIMIT = 512


class Lines:
    r"""Splits received bytes into lines, that end with "\n", "\r\n" or "\r"."""

    def __init__(self):
        self._line = bytearray()
        self._after_cr = False

    def __bool__(self):
        """Whether a line has begun."""
        return bool(self._line)

    def feed(self, data):
        """Take bytes; returns the texts of the lines that they complete."""
        lines = []
        for byte in data:
            if byte == 0x0A and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = byte == 0x0D
            if byte in (0x0A, 0x0D):
                lines.append(self.flush())
                continue
            self._line.append(byte)
            if len(self._line) >= LINE_LIMIT:
                lines.append(self._flush_characters())
        return lines

    def flush(self):
        """The text of the line as far as it has come."""
        text = printable(self._line)
        self._line = bytearray()
        return text

    def _flush_characters(self):
        """As flush(), but what may be the first bytes of a UTF-8 sequence stays for later."""
        end = len(self._line)
        for back in range(1, 4):
            byte = self._line[-back]
            if byte >= 0xC0:
                # Its high bits say how many bytes belong to it.
                length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                if length > back:
                    end -= back
                break
            if byte < 0x80:
                break
        rest = self._line[end:]
        self._line = self._line[:end]
        text = self.flush()
        self._line = rest
        return text
