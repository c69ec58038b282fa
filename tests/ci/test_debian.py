"""Which of Debian's source packages is taken; test_sources has them unpacked."""

import pytest

import debian
from versions import Pins

PINS = Pins.load()


@pytest.mark.parametrize(
    ("versions", "last", "expected"),
    [
        (["1.25.0+ds-1", "1.26.1+ds-1"], False, "1.26.1+ds-1"),
        (["1.25.0+ds-1"], False, None),
        (["1.25.0+ds-1"], True, "1.25.0+ds-1"),
        (["1.27.0-1", "1.25.0-1"], True, "1.25.0-1"),
        (["1.27.0-1", "1.28.0-1", "1.29.0-1"], True, "1.28.0-1"),
        (["1.24.1-1", "1.29.0-1"], True, None),
        ([], True, None),
    ],
)
def test_choose_micropython(versions, last, expected):
    assert debian.choose_micropython(versions, PINS, last) == expected


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["3.6.2-3", "3.6.10-1", "4.0.0-1"], "3.6.10-1"),
        (["4.0.0-1", "2.28.3-1", "3.60.1-1"], None),
        ([], None),
    ],
)
def test_choose_mbedtls(versions, expected):
    assert debian.choose_mbedtls(versions, PINS) == expected
