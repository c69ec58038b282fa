"""Checks of one value by a rule: a field of the settings, an option of an interface.

A rule is a kind with its least and its most, so that a table of rules is literals, which stay in
flash:

    "boolean"
    "integer", "number"            least <= value <= most
    "text"                         least to most bytes as UTF-8, no control characters
    "choice"                       one of the tuple `least`
    "pin", "output", "adc"         the number of a GPIO: an input, an output, an analog input
    "uart"                         the number of a UART
"""


class BadField(ValueError):
    """A value that a field can't have.

    Attributes:
        field: the field's name.
    """

    def __init__(self, field, text):
        super().__init__(text)
        self.field = field


# Kinds that stand for a part of the chip, by its number.
HARDWARE = ("pin", "output", "adc", "uart")


def check(kind, least, most, value):
    """Check a value.

    Returns:
        The value.

    Raises:
        ValueError: the text says what it must be, to stand after the field's name.
    """
    if kind == "boolean":
        if type(value) is not bool:
            raise ValueError("must be true or false")
    elif kind == "choice":
        # By type too: 1 == True.
        if not any([type(value) is type(each) and value == each for each in least]):
            raise ValueError("must be one of " + ", ".join([repr(each) for each in least]))
    elif kind == "text":
        check_text(least, most, value)
    else:
        _check_number(kind, least, most, value)
    return value


def _check_number(kind, least, most, value):
    if kind != "number" and kind != "integer" and kind not in HARDWARE:
        raise KeyError(kind)
    # JSON's true and false are ints to isinstance.
    if kind == "number":
        if type(value) is not int and type(value) is not float:
            raise ValueError("must be a number")
    elif type(value) is not int:
        raise ValueError("must be a whole number")
    if not least <= value <= most:
        raise ValueError(f"must be {least} to {most}")


def check_text(least, most, value):
    """Check a text of `least` to `most` bytes as UTF-8.

    Raises:
        ValueError: the text says what it must be.
    """
    if not isinstance(value, str):
        raise ValueError("must be text")
    if not least <= len(value.encode()) <= most:
        raise ValueError(f"must have {least} to {most} bytes")
    if any([ord(c) < 32 or ord(c) == 127 for c in value]):
        raise ValueError("must not have control characters")
