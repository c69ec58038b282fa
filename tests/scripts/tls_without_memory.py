"""HTTPS without memory for TLS: nothing listens, and the log says why."""

from device import log
from device.routes import https


def load(certificate, key):
    raise error


class Config:
    def get(self, path):
        return 8443


https.load = load
for error in (MemoryError(), OSError(12)):  # noqa: B007, load raises it
    assert https.listen(Config(), None) is None
for line in log.lines():
    print(line.partition(" ")[2])
