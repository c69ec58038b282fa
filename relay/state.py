"""A device's last state, kept small: as JSON with what has changed since beside it.

A fleet is ten thousand of them, looked at now and then, and changed a few keys at a time.
"""

from relay import wire

# Keys that stand beside before all is put together.
_BESIDE_MAX = 16


class State:
    """The state; false while nothing has been told."""

    __slots__ = ("_beside", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._beside: wire.Keys | None = None  # None stands for a key that is gone

    def __bool__(self) -> bool:
        return bool(self._text or self._beside)

    def __len__(self) -> int:
        """Characters, about."""
        beside = self._beside
        return len(self._text) + (len(wire.dumps(beside)) if beside else 0)

    def clear(self) -> None:
        """Forget it."""
        self._text = ""
        self._beside = None

    def replace(self, keys: wire.Keys) -> None:
        """Take the whole of it."""
        self._beside = None
        self._text = wire.dumps(_kept(keys))

    def load(self, text: str) -> None:
        """Take the whole of it as `text` has given it."""
        self._beside = None
        self._text = text

    def text(self) -> str:
        """It as JSON."""
        if self._beside:
            self.replace(self.keys())
        return self._text or "{}"

    def update(self, keys: wire.Keys) -> None:
        """Take what has changed; None is a key that is gone."""
        beside = self._beside
        if beside is None:
            beside = self._beside = {}
        for key, value in keys.items():
            if not wire.is_event(key):
                beside[key] = value
        if len(beside) > _BESIDE_MAX:
            self._text = wire.dumps(self.keys())
            self._beside = None

    def keys(self) -> wire.Keys:
        """It as a dict, for the caller to change."""
        found: wire.Keys = wire.loads(self._text) if self._text else {}
        if self._beside:
            found.update(self._beside)
            found = _kept(found)
        return found


def _kept(keys: wire.Keys) -> wire.Keys:
    return {
        key: value for key, value in keys.items() if value is not None and not wire.is_event(key)
    }
