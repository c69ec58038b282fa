"""Changes of the configuration: checked, made in memory, then on flash, or taken back."""

import json

import board
from fields import BadField

from . import storage
from .config import (
    ADMIN,
    APP,
    NETWORK,
    SECRET,
    SECRETS,
    TOKENS,
    check,
    field,
    file_of,
    is_app_name,
)
from .together import check as check_together


def set_all(config, changes):
    """See `config.Config.set_all`. None for a value stands for the field's default."""

    def get(path):
        value = changes.get(path)
        return config.get(path) if value is None else value

    try:
        # A network before its password, which belongs to it.
        for path in sorted(changes, key=lambda path: path == "sta/pass"):
            if changes[path] is not None:
                _check(config, path, changes[path])
            _change(config, path, changes[path])
        for path in sorted(changes):
            try:
                check_together(path, get(path), get)
            except ValueError as error:
                raise BadField(path, str(error))
    except (KeyError, ValueError, MemoryError):
        _revert(config)
        raise


def _check(config, path, value):
    _, kind, least, most, _, _, _ = field(path)
    try:
        check(kind, least, most, value)
        if path == "app" and not is_app_name(value):
            raise ValueError("must have only letters, digits and _")
        if path == "interfaces":
            from interfaces import check_all

            check_all(value, config.get("interfaces") or ())
    except ValueError as error:
        raise BadField(path, str(error))


def _change(config, path, value):
    if config.before is None:
        config.before = json.dumps(config.files), dict(config.values)
    if value is None:
        field(path)
        _forget(config, path)
        return
    if path == "sta/ssid" and value != config.get(path):
        # A password belongs to its network: it is looked up anew.
        before, password = config.get(path), config.get("sta/pass")
        _forget(config, "sta/pass")
        secrets = config.files[SECRETS]
        if before and password and isinstance(secrets.setdefault("sta", {}), dict):
            secrets["sta"][before] = password
        _put(config, "sta/ssid", value)
        known = config.files[SECRETS].get("sta")
        if isinstance(known, dict) and value in known:
            config.values["sta/pass"] = known[value]
    elif path in SECRET:
        _forget(config, path)
        _set_secret(config, path, value)
    else:
        _put(config, path, value)
    config.values[path] = value


def save(config):
    """See `config.Config.save`.

    Secrets go first: a power cut between leaves the new password beside the old network, whose own
    password is kept.
    """
    saved = []
    try:
        for name in (SECRETS, NETWORK, APP):
            if name in config.changed:
                storage.save(name, config.files[name])
                saved.append(name)
        config.changed = ()
        config.before = None
    except (OSError, MemoryError):
        _revert(config)
        for name in saved:
            storage.undo(name)
        raise


def _revert(config):
    # As it was after the last save.
    before, config.before = config.before, None
    config.changed = ()
    if before is not None:
        files, config.values = before
        config.files = json.loads(files)


def factory_reset():
    """See `config.Config.factory_reset`."""
    if board.chip is not None:
        from .copies import forget

        forget(board.chip.store)
    failure = None
    for name in (NETWORK, APP, SECRETS, ADMIN, TOKENS):
        try:
            storage.erase(name)
        except OSError as error:
            failure = error
    if failure is not None:
        raise failure


def _put(config, path, value):
    objects = config.objects(path)
    head, _, rest = path.partition("/")
    tree = objects[-1]
    for candidate in objects:
        if head in candidate:
            tree = candidate
            break
    if rest:
        if not isinstance(tree.get(head), dict):
            tree[head] = {}
        tree[head][rest] = value
    else:
        tree[head] = value
    config.changed += (file_of(path),)


def _forget(config, path):
    head, _, rest = path.partition("/")
    config.values.pop(path, None)
    if config.files[SECRETS].pop(path, None) is not None:
        config.changed += (SECRETS,)
    for top in config.objects(path):
        tree = top.get(head) if rest else top
        rest = rest or head
        if isinstance(tree, dict) and tree.pop(rest, None) is not None:
            config.changed += (file_of(path),)


def _set_secret(config, path, value):
    secrets = config.files[SECRETS]
    if path == "sta/pass":
        # By network: those that are stored, and the one before it: see save().
        known = secrets.get("sta")
        previous = storage.load(NETWORK, lambda problem: None).get("sta")
        kept = {}
        names = list(config.get("sta/more"))
        if isinstance(previous, dict):
            names.append(previous.get("ssid"))
        if isinstance(known, dict):
            for name in names:
                if name in known:
                    kept[name] = known[name]
        kept[config.get("sta/ssid")] = value
        secrets["sta"] = kept
    else:
        secrets[path] = value
    config.changed += (SECRETS,)
