"""The captive portal: the page opens by itself on a phone that joins the device's access point.

A phone that has joined a network asks its maker's server for an answer that it knows. DHCP on the
access point names the device as DNS server (LWIP_DHCPS_ADD_DNS of ESP-IDF), `Resolver` gives every
name the device's address, and `answer` sends the phone from there to the page, which it then
shows. Phones that know RFC 8910 are told the page's address by DHCP too (`wifi`).
"""

import socket
from select import POLLIN

import board
from httpd import redirect
from transport import AddressError, bound_socket, peer_address, poller

from ..log import log
from ..settings.names import is_own
from . import dns

# What phones and computers ask for, whatever the host: Android and ChromeOS, Apple, Windows,
# Firefox, GNOME.
PROBES = (
    "/generate_204",
    "/gen_204",
    "/hotspot-detect.html",
    "/library/test/success.html",
    "/connecttest.txt",
    "/ncsi.txt",
    "/redirect",
    "/success.txt",
    "/canonical.html",
    "/check_network_status.txt",
)


def answer(device, request):
    """Send who asks for something that isn't the device's to the page.

    That is a probe, or on the access point anything at another host: all names lead here.

    Returns:
        The response; None when the request is meant for the device.
    """
    if request.method not in ("GET", "HEAD") or request.secure:
        return None
    inside = board.on_access_point(request.peer)
    if request.path not in PROBES:
        if not inside or is_own(request.headers.get("host"), device.config):
            return None
    location = "/"
    if inside:
        # By address: to a name the phone would come only as long as it is on this network.
        listeners = device.web.listeners
        port = device.config.get("http/port") or (listeners and board.local_port(listeners[0]))
        if port:  # else it isn't known: the phone stays where it found the device
            location = "http://" + device.wifi.address + ("" if port == 80 else f":{port}") + "/"
    return redirect(location, 302)


def resolve(config, wifi):
    """Answer DNS queries on the access point, which is up.

    Returns:
        The `Resolver`; None when its port is taken, which is logged.

    Raises:
        AddressError: the port is taken, and the program's user asked for it.
    """
    host = board.overrides.get("http/ip") or wifi.address
    try:
        return Resolver(host, max(config.get("portal/dns_port"), 0), wifi.address)
    except AddressError as error:
        if "portal/dns_port" in board.overrides:
            raise
        log("error", f"the page can't open by itself: {error}")
        return None


class Resolver:
    """Resolves every name to one address, for clients of the access point only.

    An endpoint of `transport.poller`.

    Args:
        host: address to listen at.
        port: UDP port, 0 for any free one.
        address: what the names resolve to, a dotted quad.

    Raises:
        AddressError: the address isn't ours, or the port is taken.
    """

    def __init__(self, host, port, address):
        self._address = bytes([int(part) for part in address.split(".")])
        self.sock = bound_socket(host, port, socket.SOCK_DGRAM)
        poller.current().add(self, POLLIN)

    def ready(self, events):
        try:
            query, peer = self.sock.recvfrom(dns.MAX_QUERY)
            if not board.on_access_point(peer_address(peer)):
                return
            response = dns.respond(query, self._address)
            if response:
                self.sock.sendto(response, peer)
        except (OSError, MemoryError):
            pass  # the client asks again

    def failed(self, error):
        poller.report("a DNS query failed", error)

    def tick(self, now):
        """Nothing is due at any time."""
