"""The settings as a file, and back.

A backup is JSON: `format`, who made it, and in `settings` each field that has another value than
its default, by its path. Secrets are left out, or are in `secrets`, encrypted with a key that is
derived from a passphrase (PBKDF2), AES-256 in CBC mode with PKCS #7 padding (NIST SP 800-38A), and
authenticated by HMAC-SHA-256 over what is encrypted.
"""

import json
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from os import urandom

from cryptolib import aes
from fields import BadField
from httpd import HTTPError, Response
from httpd.signing import equal, hmac_sha256
from interfaces import entries_of
from strict_json import loads

import build_info

from ..access.password import derive
from ..settings.config import FIELDS, SECRET

FORMAT = "websock settings 1"

# Bytes of a file that is restored: all fields at their longest and 16 interfaces take less.
MAX_SIZE = 16_384

# Rounds of PBKDF2; more than of the admin password, since a file can be tried at leisure.
ITERATIONS = 10_000
ITERATIONS_MAX = 100_000

# Bytes of a passphrase: HMAC takes up to 64 as they are.
_PASSPHRASE = (8, 64)

_NO_STORE = (("Cache-Control", "no-store"),)
_CBC = 2
_BLOCK = 16


def backup(device, request):
    """GET /api/backup: the settings, without secrets."""
    return _file(device, {})


async def sealed(device, request):
    """POST /api/backup with a passphrase: the settings with secrets."""
    passphrase = _passphrase((await request.form(512)).get("passphrase"))
    device.access.still(request)
    config = device.config
    secrets = {path: config.get(path) for path in SECRET if config.get(path)}
    return _file(device, {"secrets": await _seal(json.dumps(secrets).encode(), passphrase)})


def _file(device, more):
    config = device.config
    settings = {}
    for row in FIELDS:
        path = row[0]
        # What is stored: not what the host's arguments say.
        if path not in SECRET and path in config.values:
            settings[path] = config.values[path]
    name = config.get("device/iam")
    content = {
        "format": FORMAT,
        "device": name,
        "version": build_info.VERSION,
        "settings": settings,
    }
    content.update(more)
    disposition = ("Content-Disposition", f'attachment; filename="{name}-settings.json"')
    return Response(content, headers=_NO_STORE + (disposition,))


async def restore(device, request):
    """POST /api/restore with {"backup", "passphrase"}: have the settings of the file, and the
    default for what it doesn't say; secrets only when it has some. All is checked before anything
    is changed. Answers {"restored", "unknown"}: how many fields, and those that this version
    doesn't know."""
    try:
        body = loads(str(await request.read(MAX_SIZE), "utf-8"))
    except (ValueError, RuntimeError) as error:
        raise HTTPError(400, f"the file is no JSON: {error}")
    device.access.still(request)
    found = body.get("backup") if isinstance(body, dict) else None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise HTTPError(400, "the file is no backup of settings")
    settings = found.get("settings")
    if not isinstance(settings, dict):
        raise HTTPError(400, "the file has no settings")
    changes = {row[0]: None for row in FIELDS if row[0] not in SECRET}
    unknown = _take(settings, changes)
    if "secrets" in found:
        secrets = await _unseal(found["secrets"], _passphrase(body.get("passphrase")))
        for path in SECRET:
            changes[path] = None
        unknown += _take(secrets, changes)
    config = device.config
    before = {path: config.get(path) for path in changes}
    try:
        await _apply(device, changes)
    except BadField as error:
        return Response({"error": f"{error.field}: {error}", "field": error.field}, 400)
    except OSError:
        raise HTTPError(507, "flash is full")
    before.pop("interfaces")
    device.use_settings(before)
    device.hub.info("Settings are restored from a file")
    restored = len([path for path in changes if changes[path] is not None])
    return Response({"restored": restored, "unknown": unknown}, headers=_NO_STORE)


def _take(values, changes):
    # Put values of known fields into `changes`; returns the others' paths.
    known = [row[0] for row in FIELDS]
    unknown = []
    for path in sorted(values):
        if path in known:
            changes[path] = values[path]
        else:
            unknown.append(path)
    return unknown


async def _apply(device, changes):
    from ..interface_edits import apply

    entries = changes["interfaces"]
    if entries is None:
        entries = entries_of(None, None)
    elif not isinstance(entries, list):
        raise BadField("interfaces", "must be a list")
    try:
        await apply(device.equipment, entries, changes)
    except BadField as error:
        if error.field not in changes:
            error.field = "interfaces"  # it is an option's
        raise
    except ValueError as error:
        raise BadField("interfaces", str(error))


def _passphrase(text):
    least, most = _PASSPHRASE
    data = text.encode() if isinstance(text, str) else b""
    if not least <= len(data) <= most:
        raise HTTPError(400, f"a passphrase has {least} to {most} bytes")
    return data


async def _seal(data, passphrase):
    salt, vector = urandom(_BLOCK), urandom(_BLOCK)
    key, mac_key = await _keys(passphrase, salt, ITERATIONS)
    rest = _BLOCK - len(data) % _BLOCK
    encrypted = aes(key, _CBC, vector).encrypt(data + bytes([rest]) * rest)
    return {
        "iterations": ITERATIONS,
        "salt": _text(salt),
        "vector": _text(vector),
        "data": _text(encrypted),
        "mac": _text(hmac_sha256(mac_key, vector + encrypted)),
    }


async def _unseal(box, passphrase):
    try:
        salt, vector, data, mac = [
            a2b_base64(box[key]) for key in ("salt", "vector", "data", "mac")
        ]
        iterations = box["iterations"]
        if not 1 <= iterations <= ITERATIONS_MAX or len(vector) != _BLOCK or len(data) % _BLOCK:
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise HTTPError(400, "the file's secrets are damaged")
    key, mac_key = await _keys(passphrase, salt, iterations)
    if not equal(hmac_sha256(mac_key, vector + data), mac):
        raise HTTPError(400, "the passphrase is another, or the file is damaged")
    plain = aes(key, _CBC, vector).decrypt(data)
    return json.loads(plain[: -plain[-1]])


async def _keys(passphrase, salt, iterations):
    key = await derive(passphrase, salt, iterations)
    return sha256(key + b"encrypt").digest(), sha256(key + b"authenticate").digest()


def _text(data):
    return str(b2a_base64(data), "utf-8").strip()
