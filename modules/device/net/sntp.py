"""SNTP (RFC 4330, RFC 5905 section 14): a question and its answer, as bytes."""

import os

from micropython import const

# Seconds from 1900 to 1970, and what a second count of 32 bits holds (RFC 5905 section 6).
_TO_UNIX = const(2_208_988_800)
_ERA = const(1 << 32)


class NoTime(Exception):
    """The server didn't tell the time; the text says why."""


def request():
    """A request, whose last 8 bytes, a random number, its answer repeats."""
    # LI 0, version 4, mode 3 (client).
    return b"\x23" + bytes(39) + os.urandom(8)


def unix_time(answer, asked):
    """The time of an answer to the request `asked`, in seconds since 1970.

    Raises:
        NoTime: it is none.
    """
    if len(answer) < 48 or answer[24:32] != asked[40:48]:
        raise NoTime("it sent no answer to the question")
    # Section 7.3: mode 4 is a server's; leap indicator 3 and stratum 0 say that it has no time.
    if answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        raise NoTime("it has no time itself")
    seconds = int.from_bytes(answer[40:44], "big")
    if seconds < _ERA // 2:
        seconds += _ERA  # from February 2036 on
    return seconds - _TO_UNIX
