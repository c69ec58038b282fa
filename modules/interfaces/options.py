"""Checks for the options of interfaces.

A check takes the value from app.json and returns the one to use. The text of its ValueError says
what the value must be; the option's name goes in front of it: "baudrate must be ...".
"""


def integer(low, high):
    """A whole number from `low` to `high`."""

    def check(value):
        # JSON's true and false are ints to isinstance.
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def one_of(*values):
    """One of `values`."""

    def check(value):
        for allowed in values:
            if type(value) is type(allowed) and value == allowed:
                return value
        raise ValueError("must be one of " + ", ".join([repr(allowed) for allowed in values]))

    return check


def boolean(value):
    """true or false."""
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value
