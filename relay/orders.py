"""What the program does beside serving: who may come in, and copies of the database."""

import argparse
import csv
import getpass
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from relay import grants, names, passwords
from relay.config import Config
from relay.grants import Grant
from relay.storage import Sqlite, Storage, open_storage

_SECONDS = {"m": 60, "h": 3600, "d": 86400}


class OrderError(ValueError):
    """What can't be done; the text says why."""


def add_orders(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands; without one the program serves."""
    orders = parser.add_subparsers(title="instead of serving", metavar="ORDER", dest="order")

    def order(name: str, about: str) -> argparse.ArgumentParser:
        return orders.add_parser(name, help=about, description=about)

    each = order("device-token", "Make a token for a device; its older ones end when it is used.")
    each.add_argument("name")
    each.add_argument("--host", help="where the device finds the relay")
    each = order("device-tokens", "Take the tokens of devices from a devices.csv of `provision`.")
    each.add_argument("file")
    each = order("device-revoke", "End a device's tokens; it is let in no more.")
    each.add_argument("name")
    order("devices", "List the devices that have tokens.")
    each = order("user", "Make a user or change one; asks for the password, or reads a line.")
    each.add_argument("name")
    _add_grant(each)
    each.add_argument("--admin", action="store_true", help="may do all, also with the relay")
    each = order("user-remove", "End a user.")
    each.add_argument("name")
    order("users", "List the users.")
    each = order("page-token", "Make a token for pages and scripts.")
    each.add_argument("name")
    _add_grant(each)
    each.add_argument("--expires", help="after so long, as 12h or 30d; never by default")
    each = order("page-token-remove", "End a token of pages.")
    each.add_argument("name")
    order("page-tokens", "List the tokens of pages.")
    each = order("backup", "Write a copy of the database, also while the relay runs.")
    each.add_argument("file")
    each = order("audit", "Show who has done what.")
    each.add_argument("--most", type=int, default=100)


def _add_grant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--devices", default="*", help="patterns by commas, as pump-*,tank-7")
    parser.add_argument("--verbs", default="*", help="as GET, or GET,CMD reboot; all by default")


async def carry_out(given: argparse.Namespace, config: Config) -> str:
    """Do what was asked.

    Returns:
        What is to be shown.

    Raises:
        OrderError: it can't be done.
        StoreError: the database can't be used.
    """
    storage = await open_storage(config)
    try:
        return await _ORDERS[given.order](storage, given, config)
    except (ValueError, names.BadName) as error:
        raise OrderError(str(error)) from error
    finally:
        await storage.close()


async def _device_token(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    name = names.checked(given.name)
    token = passwords.new_token()
    await storage.add_device_token(name, passwords.token_digest(token))
    await storage.note("operator", "made a device's token", name)
    return device_settings(name, token, given.host or config.device_host, config)


def device_settings(name: str, token: str, host: str, config: Config) -> str:
    """What goes into a device's files, for it to come by a token."""
    home: dict[str, Any] = {"host": host, "port": config.device_port}
    if not config.cert:
        home["tls"] = False
    if "/" in name:
        home["path"] = "/" + name
    files = {
        "network.json": {"device": {"iam": name.replace("/", "-")}},
        "app.json": {"home": home},
        "secrets.json": {"home/token": token},
    }
    return "\n".join(f"{file}: {json.dumps(content)}" for file, content in files.items())


async def _device_tokens(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    try:
        with open(given.file, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OrderError(f"{given.file} can't be read: {error}") from error
    found = {}
    for row in rows:
        if "token" not in row or "relay_name" not in row:
            raise OrderError(f"{given.file} has no columns relay_name and token")
        if row["token"]:
            found[names.checked(row["relay_name"])] = passwords.token_digest(row["token"])
    known = await storage.device_tokens()
    new = {name: digest for name, digest in found.items() if digest not in known.get(name, ())}
    for name, digest in new.items():
        await storage.add_device_token(name, digest)
    await storage.note("operator", "took tokens of devices", detail=f"{len(new)} of {given.file}")
    return f"{len(new)} tokens are new, {len(found) - len(new)} were known"


async def _device_revoke(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    if not await storage.revoke_device(given.name):
        raise OrderError(f"there is no token of {given.name}")
    await storage.note("operator", "revoked a device's tokens", given.name)
    return f"{given.name} is let in no more"


async def _devices(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    return "\n".join(sorted(await storage.device_tokens()))


async def _user(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,64}", given.name):
        raise OrderError("a user's name has letters, digits, _, ., @ and -, 64 at most")
    grant = _grant(given, admin=given.admin)
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    await storage.set_user(grant, passwords.password_hash(password))
    await storage.note("operator", "made a user", detail=given.name)
    return f"{given.name} may log in"


async def _user_remove(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    if not await storage.remove_user(given.name):
        raise OrderError(f"there is no user {given.name}")
    await storage.note("operator", "removed a user", detail=given.name)
    return f"{given.name} may log in no more"


async def _users(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    users = await storage.users()
    return "\n".join(_shown(grant) for _, grant in users.values())


async def _page_token(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    expires = None if given.expires is None else time.time() + _duration(given.expires)
    token = passwords.new_token()
    await storage.add_page_token(_grant(given), passwords.token_digest(token), expires)
    await storage.note("operator", "made a page token", detail=given.name)
    return token


async def _page_token_remove(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    if not await storage.remove_page_token(given.name):
        raise OrderError(f"there is no token {given.name}")
    await storage.note("operator", "removed a page token", detail=given.name)
    return f"the token {given.name} is void"


async def _page_tokens(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    lines = []
    for grant, expires in (await storage.page_tokens()).values():
        until = (
            ""
            if expires is None
            else time.strftime(" until %Y-%m-%d %H:%M:%S", time.localtime(expires))
        )
        lines.append(_shown(grant) + until)
    return "\n".join(lines)


async def _backup(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    if not isinstance(storage, Sqlite):
        raise OrderError("NATS has backups of its own: nats stream backup (docs/relay.md)")
    store, path = storage.store, Path(given.file)
    await storage.run(lambda: store.backup(path))
    return f"{path} is a copy of {store.path}"


async def _audit(storage: Storage, given: argparse.Namespace, config: Config) -> str:
    lines = []
    for entry in reversed(await storage.audit(given.most)):
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
        parts = (at, entry.who, entry.what, entry.device, entry.detail)
        lines.append("  ".join(part for part in parts if part))
    return "\n".join(lines)


def _grant(given: argparse.Namespace, admin: bool = False) -> Grant:
    return Grant(
        given.name,
        grants.checked_devices(part.strip() for part in given.devices.split(",")),
        grants.checked_verbs(part.strip() for part in given.verbs.split(",")),
        admin,
    )


def _shown(grant: Grant) -> str:
    admin = ", admin" if grant.admin else ""
    return f"{grant.who}: {','.join(grant.verbs)} of {','.join(grant.devices)}{admin}"


def _duration(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise OrderError(f"{text} is no time, as 90m, 12h or 30d")
    return int(found[1]) * _SECONDS[found[2]]


_ORDERS = {
    "device-token": _device_token,
    "device-tokens": _device_tokens,
    "device-revoke": _device_revoke,
    "devices": _devices,
    "user": _user,
    "user-remove": _user_remove,
    "users": _users,
    "page-token": _page_token,
    "page-token-remove": _page_token_remove,
    "page-tokens": _page_tokens,
    "backup": _backup,
    "audit": _audit,
}
