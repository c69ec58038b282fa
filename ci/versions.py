"""The pinned versions, which stand in versions.toml alone."""

import dataclasses
import re
import tomllib

from common import ROOT, BuildError

PINS_FILE = ROOT / "ci" / "versions.toml"


def load(path=PINS_FILE):
    """All of the file, a dict."""
    with open(path, "rb") as file:
        return tomllib.load(file)


@dataclasses.dataclass(frozen=True)
class Pins:
    """MicroPython and mbedtls: the versions to obtain."""

    url: str
    tag: str
    commit: str
    minimum: str
    suites: tuple
    preferred: tuple
    mbedtls_series: str

    @classmethod
    def load(cls, path=PINS_FILE):
        data = load(path)
        micropython = data["micropython"]
        return cls(
            url=micropython["url"],
            tag=micropython["tag"],
            commit=micropython["commit"],
            minimum=micropython["minimum"],
            suites=tuple(micropython["debian"]["suites"]),
            preferred=tuple(micropython["debian"]["preferred"]),
            mbedtls_series=data["mbedtls"]["series"],
        )


def numbers(version):
    """The leading dotted numbers of a version: "1.26.1+ds-1" -> (1, 26, 1)."""
    match = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", version)
    if not match:
        raise BuildError(f"not a version: {version!r}")
    return tuple(int(part) for part in match[1].split("."))
