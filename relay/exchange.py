"""Who is connected, and what passes between them. No sockets here: a `Link` stands for one."""

import json
import logging
from typing import Protocol

# Private use (RFC 6455 section 7.4.2): the device's connection is no longer the one that counts.
TAKEN_OVER = 4000

Message = str | bytes

log = logging.getLogger("relay")


class Link(Protocol):
    """The way to a peer. Neither of these waits."""

    def send(self, message: Message) -> None:
        """Send a message; a peer too slow for it is closed instead."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close."""


class Exchange:
    """Devices and pages of one relay, by the devices' names."""

    def __init__(self) -> None:
        self.devices: dict[str, Link] = {}
        self.pages: dict[str, set[Link]] = {}

    # Devices

    def device_joined(self, name: str, link: Link) -> None:
        """Take a device's connection, in the place of the one before."""
        before = self.devices.get(name)
        self.devices[name] = link
        if before is not None:
            before.close(TAKEN_OVER, "another connection of this device took over")

    def device_left(self, name: str, link: Link) -> None:
        """Forget a device's connection, unless another has taken over."""
        if self.devices.get(name) is link:
            del self.devices[name]

    def from_device(self, name: str, link: Link, message: Message) -> None:
        """Pass a device's message to its pages."""
        if self.devices.get(name) is not link:
            return  # what was under way when another took over
        # A page that is closed for it leaves the set later, not meanwhile.
        for page in self.pages.get(name, ()):
            page.send(message)

    # Pages

    def page_joined(self, name: str, link: Link) -> None:
        """Take a page's connection."""
        self.pages.setdefault(name, set()).add(link)

    def page_left(self, name: str, link: Link) -> None:
        """Forget a page's connection."""
        pages = self.pages.get(name)
        if pages is not None:
            pages.discard(link)
            if not pages:
                del self.pages[name]

    def from_page(self, name: str, link: Link, message: Message) -> None:
        """Pass a page's message to its device; who asks for one that is away is told so."""
        device = self.devices.get(name)
        if device is None:
            link.send(json.dumps({"error": f"{name} is not connected"}))
        else:
            device.send(message)
