from collections.abc import Callable, Sequence
from typing import Any

from .base import Interface

TYPES: tuple[tuple[str, str], ...]
INTERFACES_MAX: int
NAME_MAX: int
RESERVED_NAMES: tuple[str, ...]

def create(
    config: dict[str, Any],
    emit: Callable[[str, Any], object],
    taken: dict[str, str] | None = None,
    others: Sequence[Interface] = (),
) -> Interface: ...
def class_of(type_name: str) -> type[Interface]: ...
def claims_of(interface: Interface, taken: dict[str, str]) -> list[str]: ...
def entries_of(
    configs: list[dict[str, Any]] | None, report: Callable[[str], object] | None
) -> list[dict[str, Any]]: ...
def check_all(configs: list[dict[str, Any]], known: Sequence[Any] = ()) -> None: ...
