from collections.abc import Callable, Sequence
from typing import Any

from .base import Interface

TYPES: dict[str, str]
DEFAULT: tuple[dict[str, Any], ...]
INTERFACES_MAX: int
NAME_MAX: int
RESERVED_NAMES: tuple[str, ...]

def create(config: dict[str, Any], emit: Callable[[str, Any], object]) -> Interface: ...
def create_all(
    configs: list[dict[str, Any]] | None,
    emit: Callable[[str, Any], object],
    report: Callable[[str], object],
) -> list[Interface]: ...
def check_all(configs: list[dict[str, Any]]) -> None: ...
def describe(interfaces: Sequence[Interface]) -> list[dict[str, str]]: ...
