"""Header fields as users of Python's `websockets` know them."""


class Headers:
    """Header fields by name, whatever its case.

    Repeated fields are joined by ", " (RFC 9110 section 5.3).

    Args:
        fields: a dict with lower-case names, of which this is a view; or (name, value) pairs.
    """

    def __init__(self, fields=()):
        if not isinstance(fields, dict):
            pairs = fields.items() if hasattr(fields, "items") else fields
            fields = {}
            self._fields = fields
            for name, value in pairs:
                self[name] = value
        self._fields = fields

    def __getitem__(self, name):
        return self._fields[name.lower()]

    def __setitem__(self, name, value):
        name = name.lower()
        known = self._fields.get(name)
        self._fields[name] = value if known is None else known + ", " + value

    def __delitem__(self, name):
        del self._fields[name.lower()]

    def __contains__(self, name):
        return name.lower() in self._fields

    def __iter__(self):
        return iter(self._fields)

    def __len__(self):
        return len(self._fields)

    def get(self, name, default=None):
        """The value of a field, or `default`."""
        return self._fields.get(name.lower(), default)

    def get_all(self, name):
        """The values of a field as a list: one string, or none."""
        value = self.get(name)
        return [] if value is None else [value]

    def keys(self):
        """The names."""
        return self._fields.keys()

    def values(self):
        """The values."""
        return self._fields.values()

    def items(self):
        """(name, value) pairs."""
        return self._fields.items()
