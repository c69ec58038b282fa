"""SNTP: what a server's answer says, and what is none."""

from device.net.sntp import NoTime, request, unix_time
from device.settings.names import host_name
from device.wallclock import iso
from helpers import refusal

HOST_ONLY = True


def answer(asked, seconds, first=0x24, stratum=2):
    data = bytearray(48)
    data[0] = first
    data[1] = stratum
    data[24:32] = asked[40:48]
    data[40:44] = (seconds & 0xFFFFFFFF).to_bytes(4, "big")
    return data


def test_a_request_is_one_and_no_two_are_the_same():
    asked = request()
    assert len(asked) == 48 and asked[0] == 0x23  # version 4, client
    assert request() != asked


def test_the_time_of_an_answer():
    asked = request()
    # 2024-01-01, as RFC 5905's prime epoch counts, and the era that begins in 2036.
    assert unix_time(answer(asked, 1_704_067_200 + 2_208_988_800), asked) == 1_704_067_200
    assert unix_time(answer(asked, 2**32 + 1000), asked) == 2**32 + 1000 - 2_208_988_800


def test_what_is_no_answer():
    asked = request()
    good = answer(asked, 3_900_000_000)
    unix_time(good, asked)
    for bad in (
        b"",
        good[:47],
        answer(request(), 3_900_000_000),  # to somebody else
        answer(asked, 3_900_000_000, first=0x23),  # a client's
        answer(asked, 3_900_000_000, first=0xE4),  # not synchronised
        answer(asked, 3_900_000_000, stratum=0),  # kiss of death
        answer(asked, 3_900_000_000, stratum=16),
    ):
        refusal(NoTime, unix_time, bad, asked)


def test_time_as_text():
    assert iso(1_704_067_200) == "2024-01-01T00:00:00Z"
    assert iso(1_790_000_000) == "2026-09-21T14:13:20Z"


def test_host_names():
    for name, expected in (
        ("pump-7", "pump-7"),
        ("Pump_7.A", "pump-7-a"),
        ("-x-", "x"),
        ("_._", "device"),
    ):
        assert host_name(name) == expected
