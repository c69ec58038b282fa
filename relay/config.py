"""The relay's configuration: one table of fields, read from a file, the environment and flags."""

import argparse
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as _field
from pathlib import Path
from typing import Any

PREFIX = "RELAY_"


class ConfigError(ValueError):
    """A setting that can't be used; the text says which, whose and why."""


def _setting(default: Any, help: str, least: float = 0, most: float = float("inf")) -> Any:
    about = {"help": help, "least": least, "most": most}
    if isinstance(default, tuple):
        return _field(default=default, metadata=about)
    return _field(default=default, metadata=about)


@dataclass(frozen=True)
class Config:
    """What the relay is told; docs/relay.md has the table."""

    device_host: str = _setting("127.0.0.1", "address that devices connect to")
    device_port: int = _setting(7770, "port that devices connect to; 0: any", 0, 65535)
    page_host: str = _setting("127.0.0.1", "address that pages connect to")
    page_port: int = _setting(7771, "port that pages connect to; 0: any", 0, 65535)
    origins: tuple[str, ...] = _setting((), "other sites whose pages may connect, by commas")
    max_message: int = _setting(65536, "bytes of a message", 1024, 16 << 20)
    device_queue: int = _setting(65536, "bytes that wait for a device", 1024)
    page_queue: int = _setting(262144, "bytes that wait for a page", 1024)
    ping_s: float = _setting(20.0, "seconds from ping to ping", 0.1, 3600)


def load(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration: a flag counts before the environment, that before the file.

    Args:
        arguments: of the command line, such as ["--page-port", "8000", "--config", "relay.toml"].

    Raises:
        ConfigError: a setting can't be used.
        SystemExit: argparse's, for --help and flags that there aren't.
    """
    parser = argparse.ArgumentParser(prog="relay", description="Where devices and pages meet.")
    parser.add_argument("--config", metavar="FILE", help="a TOML file with these settings")
    for each in fields(Config):
        flag = "--" + each.name.replace("_", "-")
        parser.add_argument(flag, help=f"{each.metadata['help']} ({_shown(each.default)})")
    given = vars(parser.parse_args(arguments))
    path = given.pop("config") or environment.get(PREFIX + "CONFIG")
    values: dict[str, Any] = {}
    for name, value in _of_file(path).items():
        values[name] = _checked(name, value, f"{path}: {name}")
    for each in fields(Config):
        variable = PREFIX + each.name.upper()
        if variable in environment:
            values[each.name] = _checked(each.name, environment[variable], variable)
        if given[each.name] is not None:
            flag = "--" + each.name.replace("_", "-")
            values[each.name] = _checked(each.name, given[each.name], flag)
    return Config(**values)


def _shown(value: Any) -> str:
    return (",".join(value) or "none") if isinstance(value, tuple) else str(value)


def _of_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    known = {each.name for each in fields(Config)}
    for name in found:
        if name not in known:
            raise ConfigError(f"{path}: there is no setting {name}")
    return found


def _checked(name: str, value: Any, whose: str) -> Any:
    # `value` is text from flags and the environment, of TOML's types from a file.
    about = next(each for each in fields(Config) if each.name == name)
    default, limits = about.default, about.metadata
    if isinstance(default, tuple):
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ConfigError(f"{whose} must be a list of texts")
        return tuple(value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ConfigError(f"{whose} must be text")
        return value
    kind = type(default)
    if isinstance(value, str):
        try:
            value = kind(value)
        except ValueError:
            raise ConfigError(f"{whose} must be a number, not {value!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | kind):
        raise ConfigError(f"{whose} must be a number")
    if not limits["least"] <= value <= limits["most"]:
        raise ConfigError(f"{whose} must be from {limits['least']:g} to {limits['most']:g}")
    return kind(value)
