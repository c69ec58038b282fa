"""In the place of an interface that can't be made: its card says why."""

from fields import BadField

from interfaces.base import Interface


def unusable(entry, others, reason, emit):
    """The stand-in for `entry`, which may be anything, beside the interfaces `others`."""
    if not isinstance(entry, dict):
        entry = {}
    name = entry.get("name")
    number = len(others) + 1
    while not isinstance(name, str) or not name or "/" in name or _is_one_of(name, others):
        name = f"interface-{number}"
        number += 1
    return Unusable(name, str(entry.get("type")), reason, emit)


def _is_one_of(name, interfaces):
    return any([interface.name == name for interface in interfaces])


class Unusable(Interface):
    """Args: `name` and `type` as far as the entry has them, and `reason`, the error's text."""

    takes_messages = False
    usable = False

    def __init__(self, name, type_name, reason, emit):
        super().__init__(name, emit, start=False)
        self.description = {
            "name": name,
            "type": type_name,
            "title": name,
            "connection": "",
            "unusable": True,
        }
        self._set_error(reason)

    async def start(self):
        raise BadField(None, self._error)
