"""Brings the radio's interfaces up, and the access point down and up again where it isn't always
wanted. Imported for that moment only."""

import os
import sys

from lazy import unload
from micropython import const

# 12 characters of 32 are 60 bits. No l, o, 0 or 1, which look like others on a label.
PASSWORD_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH = 12

AUTH_OPEN = const(0)

# With "needed" the access point comes up when the station has been off every network for so long,
# and goes when it has been on one for so long and nobody uses the access point.
NEEDED_AFTER_MS = 120_000
STABLE_AFTER_MS = 60_000


def start_access_point(wifi):
    """Bring the access point up; a radio that refuses is logged."""
    try:
        _start_access_point(wifi)
    except (OSError, RuntimeError) as error:
        wifi.log("error", f"access point: {error}")
    if wifi.opened is not None:
        wifi.opened()


def _start_access_point(wifi):
    settings = _settings(wifi)
    access_point = wifi.access_point
    # Settings are refused while the interface is down.
    access_point.active(True)
    access_point.config(**settings)
    try:
        # RFC 8910, DHCP option 114: phones open the page by themselves. Needs a patched port.
        access_point.config(portal_uri=f"http://{wifi.address}/")
    except ValueError:
        pass
    wifi.log("info", f"access point: {settings['essid']}")
    if "password" in settings:
        # For who has the device in hand, at the console only: the log goes to clients.
        print(
            f"access point {settings['essid']}, password {settings['password']}",
            file=sys.stderr,
        )


def _settings(wifi):
    config = wifi.config
    settings = {
        "essid": config.get("ap/essid") or "websock-" + wifi.station.config("mac")[-3:].hex(),
        "authmode": config.get("ap/authmode"),
        "hidden": config.get("ap/hidden"),
        "channel": config.get("ap/channel"),
    }
    if settings["authmode"] != AUTH_OPEN:
        settings["password"] = _password(wifi)
    return settings


def _password(wifi):
    config = wifi.config
    password = config.get("ap/password")
    if password:
        return password
    password = "".join([PASSWORD_ALPHABET[b & 31] for b in os.urandom(PASSWORD_LENGTH)])
    config.set("ap/password", password)
    try:
        config.save()
    except OSError as error:
        wifi.log("error", f"access point: its new password could not be saved: {error}")
    unload("device.settings.changes")  # needed again when somebody changes a setting
    return password


def start_station(wifi):
    """Bring the station up, on no network but the stored one; a radio that refuses is logged."""
    station, config = wifi.station, wifi.config
    try:
        country = config.get("wifi/country")
        if country:
            import network

            network.country(country)
        station.active(True)
        station.config(reconnects=0)
        ssid = config.get("sta/ssid")
        if not ssid or not station.isconnected() or station.config("essid") != ssid:
            # Left over from before a soft reset.
            station.disconnect()
    except (OSError, RuntimeError, ValueError, UnicodeError) as error:
        wifi.log("error", f"station: {error}")


def set_address(station, config):
    """Give the station its static address, in place of one by DHCP."""
    names = ("sta/ip", "sta/mask", "sta/gateway", "sta/dns")
    station.ifconfig(tuple([config.get(name) or "0.0.0.0" for name in names]))


def watch_access_point(wifi, connected, lasted_ms):
    """Have the access point up or down as ap/mode says.

    Args:
        connected: whether the station is on a network.
        lasted_ms: for how long it has been so.
    """
    access_point = wifi.access_point
    up = access_point.active()
    # Whoever takes the device out of its box has no other way in.
    first = not wifi.config.get("sta/ssid")
    if wifi.config.get("ap/mode") == "never" and not first:
        wanted = False
    elif connected:
        used = up and access_point.isconnected()
        wanted = up and (used or lasted_ms < STABLE_AFTER_MS)
    else:
        wanted = up or first or lasted_ms >= NEEDED_AFTER_MS
    if wanted == up:
        return
    if wanted:
        start_access_point(wifi)
    else:
        wifi.log("info", "access point: off")
        access_point.active(False)
    wifi.refresh()
