"""The captive portal's answers."""

import board
from device.net import portal

HOST_ONLY = True  # needs the host's board module


class Request:
    method = "GET"
    secure = False
    path = "/generate_204"
    peer = ("192.168.4.2", 1)
    headers = {"host": "example.com"}


class Device:
    """A device whose http/port is `port`."""

    class config:
        pass

    class wifi:
        address = "192.168.4.1"

    class web:
        listeners = (None,)

    def __init__(self, port):
        self.config.get = lambda path: port


def location(port, found=None):
    """Where a probe on the access point is sent to; `found` is what the board finds out."""
    kept = board.on_access_point, board.local_port
    board.on_access_point, board.local_port = lambda peer: True, lambda listener: found
    try:
        headers = portal.answer(Device(port), Request()).headers
        return dict(headers)["Location"]
    finally:
        board.on_access_point, board.local_port = kept


def test_a_probe_is_sent_to_the_port_that_serves_the_page():
    assert location(80) == "http://192.168.4.1/"
    assert location(81) == "http://192.168.4.1:81/"
    assert location(0, 49152) == "http://192.168.4.1:49152/"


def test_a_probe_stays_at_a_port_that_cannot_be_found_out():
    assert location(0, None) == "/"
