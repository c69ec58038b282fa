"""The relay's configuration: one table of fields, read from a file, the environment and flags."""

import argparse
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import field as _field
from pathlib import Path
from typing import Any

PREFIX = "RELAY_"


class ConfigError(ValueError):
    """A setting that can't be used; the text says which, whose and why."""


def _setting(default: Any, help: str, least: float = 0, most: float = float("inf")) -> Any:
    return _field(default=default, metadata={"help": help, "least": least, "most": most})


@dataclass(frozen=True)
class Config:
    """What the relay is told; docs/relay.md has the table."""

    device_host: str = _setting("127.0.0.1", "address that devices connect to")
    device_port: int = _setting(7770, "port that devices connect to; 0: any", 0, 65535)
    page_host: str = _setting("127.0.0.1", "address that pages connect to")
    page_port: int = _setting(7771, "port that pages connect to; 0: any", 0, 65535)
    data: str = _setting("relay-data", "folder of the database")
    nats: tuple[str, ...] = _setting((), "servers of NATS that keep it all instead, by commas")
    nats_replicas: int = _setting(0, "copies that NATS keeps; 0: 3 of three servers or more", 0, 5)
    data_max: int = _setting(4 << 30, "bytes of the database at most", 1 << 20)
    log_file: str = _setting("", "file of the log, which rotates; none: the error output")
    log_size: int = _setting(10 << 20, "bytes of a log file; five older ones are kept", 10_000)
    log_format: str = _setting("text", "text, or json for an object in each line")
    cert: str = _setting("", "file with the certificate, for TLS at both ports")
    key: str = _setting("", "file with its key")
    hosts: tuple[str, ...] = _setting((), "names of the relay where nobody logs in, by commas")
    origins: tuple[str, ...] = _setting((), "other sites whose pages may connect, by commas")
    open_devices: bool = _setting(False, "let in devices that have no token here")
    proxies: tuple[str, ...] = _setting((), "addresses of proxies that are believed, by commas")
    user_header: str = _setting("", "header by which these proxies name the user")
    max_devices: int = _setting(20_000, "devices at a time", 1)
    max_pages: int = _setting(2_000, "pages at a time", 1)
    max_pages_of_one: int = _setting(200, "pages of one user, token or address at a time", 1)
    max_message: int = _setting(65_536, "bytes of a message", 1024, 16 << 20)
    device_queue: int = _setting(65_536, "bytes that wait for a device", 1024)
    page_queue: int = _setting(262_144, "bytes that wait for a page", 1024)
    device_rate: float = _setting(200.0, "messages a second from one device; 0: any number")
    page_rate: float = _setting(100.0, "messages a second from one page; 0: any number")
    waiting_max: int = _setting(32, "commands that wait for one device", 1, 1000)
    waiting_s: float = _setting(7 * 86400.0, "seconds that a command may wait at most", 1)
    history_s: float = _setting(10.0, "seconds from a sample of a value to the next", 1, 3600)
    history_days: float = _setting(30.0, "days that samples are kept", 0, 3650)
    answer_s: float = _setting(30.0, "seconds that a device has to answer", 0.1, 3600)
    ping_s: float = _setting(20.0, "seconds from ping to ping", 0.1, 3600)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting, and --config."""
    parser.add_argument("--config", metavar="FILE", help="a TOML file with these settings")
    for each in fields(Config):
        flag = "--" + each.name.replace("_", "-")
        about = f"{each.metadata['help']} ({_shown(each.default)})"
        if isinstance(each.default, bool):
            parser.add_argument(flag, nargs="?", const="true", help=about)
        else:
            parser.add_argument(flag, help=about)


def load(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration: a flag counts before the environment, that before the file.

    Args:
        given: of the command line, by the settings' names and `config`; None where not given.

    Raises:
        ConfigError: a setting can't be used.
    """
    path = given.get("config") or environment.get(PREFIX + "CONFIG")
    values: dict[str, Any] = {}
    for name, value in _of_file(path).items():
        values[name] = _checked(name, value, f"{path}: {name}")
    for each in fields(Config):
        variable = PREFIX + each.name.upper()
        if variable in environment:
            values[each.name] = _checked(each.name, environment[variable], variable)
        if given.get(each.name) is not None:
            flag = "--" + each.name.replace("_", "-")
            values[each.name] = _checked(each.name, given[each.name], flag)
    config = Config(**values)
    for one, other in (("cert", "key"), ("key", "cert"), ("user_header", "proxies")):
        if getattr(config, one) and not getattr(config, other):
            raise ConfigError(f"{one} takes {other} too")
    if config.log_format not in ("text", "json"):
        raise ConfigError(f"log_format must be text or json, not {config.log_format!r}")
    return config


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value) or "none"


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
    default: Any = about.default
    limits = about.metadata
    if isinstance(default, tuple):
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ConfigError(f"{whose} must be a list of texts")
        return tuple(value)
    if isinstance(default, bool):
        found = {"true": True, "false": False}.get(str(value).lower())
        if found is None:
            raise ConfigError(f"{whose} must be true or false")
        return found
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
        most = limits["most"]
        span = (
            f"from {limits['least']:g} to {most:g}"
            if most < float("inf")
            else (f"at least {limits['least']:g}")
        )
        raise ConfigError(f"{whose} must be {span}")
    return kind(value)
