"""The captive portal: names that lead to the device, and where a phone's probes lead."""

import socket

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from raw import Connection
from support import free_port
from test_auth import set_password

PROBES = [
    ("connectivitycheck.gstatic.com", "/generate_204"),
    ("clients3.google.com", "/gen_204"),
    ("captive.apple.com", "/hotspot-detect.html"),
    ("www.apple.com", "/library/test/success.html"),
    ("www.msftconnecttest.com", "/connecttest.txt"),
    ("www.msftncsi.com", "/ncsi.txt"),
    ("www.msftconnecttest.com", "/redirect"),
    ("detectportal.firefox.com", "/success.txt?ipv4"),
    ("detectportal.firefox.com", "/canonical.html"),
    ("nmcheck.gnome.org", "/check_network_status.txt"),
]

# Who connects from this computer is on the simulated access point.
INSIDE = {
    "wifi_sim.json": {"clients": ["127.0.0.1"]},
    "network.json": {"device": {"iam": "Pump-7"}},
}

inside = pytest.mark.image(files=INSIDE, args=["--dns-port", "0"])
outside = pytest.mark.image(
    files={"network.json": INSIDE["network.json"]}, args=["--dns-port", "0"]
)


def ask(image, path, host, method="GET"):
    with Connection(image.http_port) as connection:
        lines = [f"{method} {path} HTTP/1.1" if host is not None else f"{method} {path} HTTP/1.0"]
        if host is not None:
            lines.append(f"Host: {host}")
        connection.send("\r\n".join([*lines, "", ""]).encode())
        return connection.read_response(method)


def page(image):
    return f"http://192.168.4.1:{image.http_port}/"


def resolve(image, name, kind="A", timeout=30):
    query = dns.message.make_query(name, kind, use_edns=True)
    return dns.query.udp(query, "127.0.0.1", timeout=timeout, port=image.dns_port)


@inside
def test_probes_lead_to_the_page(image):
    for host, path in PROBES:
        for method in ("GET", "HEAD"):
            response = ask(image, path, host, method)
            assert (response.status, response.headers["location"]) == (302, page(image)), path


@inside
def test_whatever_is_asked_of_another_host_leads_to_the_page(image):
    for host in ("example.com", "EXAMPLE.com:80", "a", "pump-7.example.com", "3g.example"):
        response = ask(image, "/some/thing?x=1", host)
        assert (response.status, response.headers["location"]) == (302, page(image)), host


@inside
def test_what_is_asked_of_the_device_does_not(image):
    for host in (
        "192.168.4.1",
        f"192.168.4.1:{image.http_port}",
        "[fe80::1]:80",
        "localhost",
        "pump-7",
        "PUMP-7.local",
        "Pump-7:80",
        None,
    ):
        assert ask(image, "/nothing", host).status == 404, host
        assert ask(image, "/", host).status == 200, host
    assert ask(image, "/some/thing", "example.com", "DELETE").status == 421


@inside
def test_redirect_does_not_loop(image):
    response = ask(image, "/generate_204", "192.168.4.1")
    assert response.headers["location"] == page(image)
    assert ask(image, "/", f"192.168.4.1:{image.http_port}").status == 200


@inside
def test_portal_opens_with_a_password_too(image):
    assert set_password(image).status == 200
    for host, path in (*PROBES, ("example.com", "/some/thing")):
        assert ask(image, path, host).headers["location"] == page(image)
    # and then it is as for everybody
    response = ask(image, "/", f"192.168.4.1:{image.http_port}")
    assert (response.status, response.headers["location"]) == (303, "login")
    for path in ("/api/state", "/nothing"):
        assert ask(image, path, "192.168.4.1").status == 401


@outside
def test_other_hosts_are_nothing_special_elsewhere(image):
    assert ask(image, "/some/thing", "example.com").status == 421
    assert set_password(image).status == 200
    assert ask(image, "/some/thing", "example.com").status == 421
    # Where the page is, whoever asks.
    response = ask(image, "/generate_204", "device.example")
    assert (response.status, response.headers["location"]) == (302, "/")


@inside
def test_every_name_has_the_devices_address(image):
    for name in ("captive.apple.com", "a.b.c.d.e", "x" * 63 + ".example", "."):
        response = resolve(image, name)
        assert response.rcode() == dns.rcode.NOERROR
        (records,) = response.answer
        assert [record.address for record in records] == ["192.168.4.1"]
        assert records.ttl == 0
    for kind in ("AAAA", "HTTPS", "MX"):
        response = resolve(image, "captive.apple.com", kind)
        assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


@inside
def test_malformed_queries_harm_nothing(image):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.connect(("127.0.0.1", image.dns_port))
        for query in (b"", b"\0", b"\xff" * 11, b"\xff" * 600, bytes(2000), b"\0" * 12):
            client.send(query)
        assert client.recv(600) == bytes((0, 0, 0x84, 0x81)) + bytes(8)
        query = dns.message.make_query("example.com", "A")
        query.flags |= 0x8000  # a response
        client.send(query.to_wire())
    assert resolve(image, "example.com").answer


@outside
def test_queries_from_elsewhere_get_no_answer(image):
    with pytest.raises(dns.exception.Timeout):
        resolve(image, "example.com", timeout=1)
    # The radio's air is read anew.
    image.write("wifi_sim.json", INSIDE["wifi_sim.json"])
    assert resolve(image, "example.com").answer


def test_port_in_use(make_image):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        image = make_image(args=["--dns-port", str(port)], start=False)
        image.spawn()
        assert image.wait() == 2
        image.ended_by_test = True
        assert f"websock: can't listen at 127.0.0.1 port {port}: " in image.log()


def test_ports_of_udp_are_not_those_of_tcp(make_image):
    port = free_port()
    image = make_image(args=["--https-port", "0", "--dns-port", str(port)], files=INSIDE)
    assert image.dns_port == port
    assert resolve(image, "example.com").answer


@inside
def test_free_port_is_kept_over_a_restart(image):
    before = image.dns_port
    with Connection(image.http_port) as connection:
        response = connection.get(
            "/api/command",
            "Content-Type: application/json",
            method="POST",
            body=b'["CMD", "reboot"]',
        )
    assert response.status == 200
    image.wait_ready()
    assert image.dns_port == before
    assert resolve(image, "example.com").answer


def test_there_is_none_by_default(image):
    assert image.dns_port == 0
    assert len(image.lines) == 1
