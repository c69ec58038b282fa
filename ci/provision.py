"""Make an image and a label for every device of a fleet: ``provision.py CSV BOARD [VARIANT]``.

The CSV file has one line per device. Columns, of which only `iam` is required:

    iam            the device's id: letters, digits, -, _ and .; also the name of its access point
    dev            its type
    ssid, password the site's Wi-Fi; no password for an open network
    home_host, home_port, home_path, token, home_tls, home_key
                   the relay, and what the device shows there to be let in; a token `new` is made
    ap_password    of its own access point; made from the system's random source when empty

dist/fleet/ gets <iam>.bin for each (firmware and settings, to be flashed at 0x0), labels.html to
be printed, with QR codes that join the device's Wi-Fi and open its page, and devices.csv with the
access points' passwords and the tokens, which the relay's order `device-tokens` takes. It is
replaced as a whole, and only when every line is good. All of it is secret: whoever has an image or
a label can get into that device.
"""

import csv
import dataclasses
import html
import io
import ipaddress
import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path

import boards
import flash
from common import BuildError, main, say
from image import DIST, ERASED

FLEET = DIST / "fleet"

# The files of device/settings/config.py, and what it takes for a value.
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SSID_MAX = 32
PASSWORD_LIMITS = (8, 63)
KEY = re.compile(r"[0-9A-Fa-f]{64}")
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
TEXT_MAX = 64
PATH_MAX = 128

# 12 characters of 32 are 60 bits. No l, o, 0 or 1, which look like others on a label.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH = 12

# What stands for a token that is to be made.
NEW = "new"

# The address of ESP-IDF's access point.
PAGE = "http://192.168.4.1/"

# How MicroPython's VfsLfs2 uses a chip's flash.
BLOCK = 4096
READ_SIZE = PROGRAM_SIZE = LOOKAHEAD = 32
CACHE = 4 * READ_SIZE


@dataclasses.dataclass(frozen=True)
class Device:
    """One line of the CSV file, checked."""

    iam: str
    dev: str
    ssid: str
    password: str
    home_host: str
    home_port: int | None
    home_path: str
    token: str
    home_tls: bool | None
    home_key: str
    ap_password: str


def is_utf8(value):
    """Whether text from a file read with "surrogateescape" was in UTF-8 there."""
    return not any("\udc80" <= character <= "\udcff" for character in value)


def printable(value, most):
    if len(value.encode()) > most:
        raise ValueError(f"must have up to {most} bytes")
    if not all(character.isprintable() for character in value):
        raise ValueError("must not have control characters")
    return value


def identity(value):
    if not IDENTITY.fullmatch(value):
        raise ValueError("must have 1 to 32 letters, digits, -, _ and ., a letter or digit first")
    return value


def passphrase(value):
    """A WPA password, or "" for none."""
    least, most = PASSWORD_LIMITS
    if value and not least <= len(value.encode()) <= most:
        raise ValueError(f"must have {least} to {most} bytes")
    return printable(value, most)


def network_key(value):
    """The passphrase of a network to join, or the key itself."""
    return value if KEY.fullmatch(value) else passphrase(value)


def host(value):
    """A name (RFC 1123 section 2.1) or an IP address, or "" for none."""
    labels = value.removesuffix(".").split(".")
    # What ends in a number would be an IPv4 address.
    named = all(map(LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if value and not named and not is_address(value):
        raise ValueError("must be a host's name or IP address")
    return printable(value, TEXT_MAX)


def is_address(value):
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value  # no zone: it would be this computer's


def port(value):
    if value and not (re.fullmatch("[0-9]+", value) and 1 <= int(value) <= 65535):
        raise ValueError("must be 1 to 65535")
    return int(value) if value else None


def uri_path(value):
    if not all("!" <= character <= "~" for character in printable(value, PATH_MAX)):
        raise ValueError("must have only printable ASCII characters")
    return value


def truth(value):
    if value.lower() not in ("", "true", "false"):
        raise ValueError("must be true or false")
    return value.lower() == "true" if value else None


def digest(value):
    if value and not KEY.fullmatch(value):
        raise ValueError("must have 64 hexadecimal digits")
    return value


COLUMNS = {
    "iam": identity,
    "dev": lambda value: printable(value, SSID_MAX),
    "ssid": lambda value: printable(value, SSID_MAX),
    "password": network_key,
    "home_host": host,
    "home_port": port,
    "home_path": uri_path,
    "token": uri_path,
    "home_tls": truth,
    "home_key": digest,
    "ap_password": passphrase,
}


def new_password():
    """A password for an access point, from the system's random source."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


def new_token():
    """A token for the relay, of 256 bits."""
    return secrets.token_urlsafe(32)


def read_fleet(text, name):
    """The devices in a CSV file's text.

    Raises:
        BuildError: the text names each bad line and column.
    """
    rows = csv.reader(io.StringIO(text), strict=True)
    problems = []
    devices = []
    lines = {}
    header = []
    after = 0
    try:
        header = [column.strip() for column in next(rows, [])]
        for column in header:
            if not is_utf8(column):
                problems.append("line 1: must be text in UTF-8")
            elif column not in COLUMNS:
                problems.append(f"line 1: there is no column {column!r}")
        for column in COLUMNS:
            if header.count(column) > 1:
                problems.append(f"line 1: column {column!r} comes twice")
        if "iam" not in header:
            problems.append("line 1: column 'iam' is missing")
        after = rows.line_num
        for row in rows if not problems else ():
            # Where the row begins: one with quotes may go over several lines.
            line, after = after + 1, rows.line_num
            where = f"line {line}"
            if not any(row):
                continue
            if len(row) != len(header):
                short = len(row) < len(header)
                column = header[len(row)] if short else len(header) + 1
                problems.append(
                    f"{where}, column {column}: {'is missing' if short else 'there is no such'}, "
                    f"the line has {len(row)} columns instead of {len(header)}"
                )
                continue
            given = dict(zip(header, row, strict=True))
            values = {}
            for column, check in COLUMNS.items():
                value = given.get(column, "").strip()
                try:
                    if not is_utf8(value):
                        raise ValueError("must be text in UTF-8")
                    values[column] = check(value)
                except ValueError as error:
                    problems.append(f"{where}, column {column}: {error}")
            if values.get("password") and not values.get("ssid"):
                problems.append(f"{where}, column password: there is no ssid that it is for")
            for column in ("home_port", "home_path", "token", "home_tls", "home_key"):
                if values.get(column) not in ("", None) and not given.get("home_host", "").strip():
                    problems.append(f"{where}, column {column}: there is no home_host")
            # Names on a network, and of files on some computers, are the same in either case.
            iam = values.get("iam", "").lower()
            if iam and lines.setdefault(iam, line) != line:
                problems.append(f"{where}, column iam: the same as in line {lines[iam]}")
            if not problems:
                values["ap_password"] = values["ap_password"] or new_password()
                if values["token"] == NEW:
                    values["token"] = new_token()
                devices.append(Device(**values))
    except csv.Error as error:
        problems.append(f"line {after + 1}{column_of(error, text, after, header)}: {error}")
    if not problems and not devices:
        problems.append("there is no device in it")
    if problems:
        raise BuildError("\n".join(f"{name}: {problem}" for problem in problems))
    return devices


def column_of(error, text, after, header):
    """Names the column of a quote that isn't closed, in the row behind `after` lines."""
    if "end of data" not in str(error):
        return ""
    # Read leniently, its value goes to the end of the file and is the row's last.
    row = next(csv.reader(list(io.StringIO(text))[after:]))
    return f", column {header[len(row) - 1]}" if len(row) <= len(header) else ""


def settings(device):
    """The files of a device: name -> JSON object. Secrets have a file of their own."""
    network = {"device": {"iam": device.iam}, "ap": {"essid": device.iam}}
    if device.dev:
        network["device"]["dev"] = device.dev
    private = {"ap/password": device.ap_password}
    if device.ssid:
        network["sta"] = {"ssid": device.ssid}
        private["sta"] = {device.ssid: device.password}
    home = {"host": device.home_host, "port": device.home_port, "path": device.home_path}
    home |= {"tls": device.home_tls, "key": device.home_key}
    home = {key: value for key, value in home.items() if value not in ("", None)}
    if device.token:
        private["home/token"] = device.token
    files = {"network.json": network, "secrets.json": private}
    if home:
        files["app.json"] = {"home": home}
    return files


def filesystem(files, size):
    """A LittleFS image of `size` bytes with `files`, without the erased end."""
    import littlefs

    image = littlefs.LittleFS(
        block_size=BLOCK,
        block_count=size // BLOCK,
        read_size=READ_SIZE,
        prog_size=PROGRAM_SIZE,
        cache_size=CACHE,
        lookahead_size=LOOKAHEAD,
    )
    for name, value in sorted(files.items()):
        with image.open(name, "wb") as file:
            file.write(json.dumps(value).encode())
    return bytes(image.context.buffer).rstrip(ERASED)


def merged(image, files, partition):
    """The firmware image with the device's filesystem behind it."""
    if len(image) > partition.offset:
        raise BuildError(f"the image reaches into partition {partition.name}")
    return image.ljust(partition.offset, ERASED) + filesystem(files, partition.size)


def wifi_code(ssid, password):
    """What a phone's camera takes for "join this Wi-Fi"."""

    def escaped(text):
        return re.sub(r'([\\;,:"])', r"\\\1", text)

    return f"WIFI:T:WPA;S:{escaped(ssid)};P:{escaped(password)};;"


def label(device):
    """One device's label as HTML."""
    import segno

    def code(text):
        return segno.make(text, error="m").svg_inline(scale=4, border=4)

    ssid, password = html.escape(device.iam), html.escape(device.ap_password)
    return (
        f"<section><h1>{ssid}</h1><figure>{code(wifi_code(device.iam, device.ap_password))}"
        f"<figcaption>1. Join: {ssid}<br>Password: <code>{password}</code></figcaption></figure>"
        f"<figure>{code(PAGE)}<figcaption>2. Open: {PAGE}</figcaption></figure></section>"
    )


def labels(devices):
    """The page of labels, to be printed."""
    style = (
        "body{font:12px sans-serif;margin:0}section{display:flex;flex-wrap:wrap;gap:1em;"
        "break-inside:avoid;border:1px dashed #888;padding:1em;width:fit-content}"
        "h1{font-size:14px;margin:0;width:100%}figure{margin:0}code{font-size:14px}"
    )
    body = "\n".join(label(device) for device in devices)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>Labels</title>\n<style>{style}</style>\n{body}\n</html>\n"
    )


def listing(devices):
    """The text of devices.csv."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["iam", "ap_ssid", "ap_password", "file", "relay_name", "token"])
    for device in devices:
        name = (device.home_path.lstrip("/") or device.iam) if device.token else ""
        row = [device.iam, device.iam, device.ap_password, f"{device.iam}.bin", name, device.token]
        writer.writerow(row)
    return out.getvalue()


def provision(devices, image, target):
    """Write a fleet's files to the folder `target`, which is replaced as a whole."""
    partition = boards.partition("vfs", boards.read_partitions())
    work = target.with_name(target.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, mode=0o700)
    try:
        for device in devices:
            data = merged(image, settings(device), partition)
            (work / f"{device.iam}.bin").write_bytes(data)
        (work / "labels.html").write_text(labels(devices))
        (work / "devices.csv").write_text(listing(devices))
        # The fleet before is there until the new one is: its passwords are nowhere else.
        before = target.with_name(target.name + ".old")
        if target.exists():
            shutil.rmtree(before, ignore_errors=True)
            os.replace(target, before)
        os.replace(work, target)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def step():
    arguments = sys.argv[1:]
    if len(arguments) not in (2, 3) or not arguments[0]:
        raise BuildError("say which devices: make provision CSV=fleet.csv")
    path = Path(arguments[0])
    variant = arguments[2] if len(arguments) == 3 and arguments[2] != "default" else ""
    board = boards.find(arguments[1], variant)
    try:
        # What is not UTF-8 is named with its line and column.
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise BuildError(f"{path}: {error}") from error
    devices = read_fleet(text, path.name)
    image = flash.newest_image(board, variant)
    provision(devices, image.read_bytes(), FLEET)
    say(f"provision: {len(devices)} devices with {image.name} in {FLEET}")


if __name__ == "__main__":
    main(step)
