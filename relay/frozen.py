"""The devices' own page, as `make assets` packs it for the firmware: the relay serves it too."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "build" / "assets" / "assets.py"
PAGE = "page.htm"

_LEFT_OUT = frozenset(("content-length",))


@dataclass(frozen=True)
class Asset:
    """A file: its headers and its content, gzipped where Content-Encoding says so."""

    etag: str
    headers: Mapping[str, str]
    body: bytes


def load(path: Path = ASSETS) -> dict[str, Asset]:
    """The files by name; none where they haven't been packed."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except OSError:
        return {}
    (assignment,) = (node for node in tree.body if isinstance(node, ast.Assign))
    found = {}
    for name, etag, _, _, _, _, size, response in ast.literal_eval(assignment.value):
        fields = re.findall(r"^([^:\r\n]+): ([^\r\n]*)\r$", response[:size].decode(), re.MULTILINE)
        headers = {name: value for name, value in fields if name.lower() not in _LEFT_OUT}
        found[name] = Asset(etag, headers, bytes(response[size:]))
    return found
