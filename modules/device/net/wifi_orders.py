"""What clients ask of Wi-Fi: to look for networks, to test one, to store some."""

import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const
from utf8 import printable

from ..settings.credentials import check
from .join_reasons import CONNECTION_LOST, NO_ADDRESS
from .wifi_errors import WifiError, require_station

# More networks than anybody would look through; keeps the message about them below 3 KiB.
SCAN_MAX = 32

# Networks that are stored.
NETWORKS_MAX = 8

# From here on a network is well heard, in dBm.
WEAK = -78

AUTH_OPEN = const(0)


async def scan(wifi):
    """See `wifi.Wifi.scan`."""
    require_station(wifi)
    if wifi.test_state["wifi/test/running"]:
        raise WifiError("a network is being tested")
    wifi.waiting += 1
    try:
        # A scan while the station is joining finds nothing: the supervisor leaves first.
        orders = wifi.ordering()
        await orders.acquire()
        try:
            found = wifi.station.scan()
        finally:
            orders.release()
    except (OSError, RuntimeError) as error:
        raise WifiError(f"scan: {error}")
    finally:
        wifi.waiting -= 1
    strongest = {}
    for ssid, _, channel, rssi, security, hidden in found:
        # A hidden network's SSID is empty, or as many zeros as it has bytes.
        if hidden or not ssid.strip(b"\x00"):
            continue
        if ssid not in strongest or rssi > strongest[ssid]["rssi"]:
            strongest[ssid] = {
                "ssid": printable(ssid),
                "rssi": rssi,
                "channel": channel,
                "secure": security != AUTH_OPEN,
            }
    networks = sorted(strongest.values(), key=lambda entry: -entry["rssi"])
    return networks[:SCAN_MAX]


async def test(wifi, ssid, password, leaving):
    """See `wifi.Wifi.test`."""
    check(ssid, password)
    require_station(wifi)
    if wifi.test_state["wifi/test/running"]:
        raise WifiError("another network is being tested")
    _set_test_state(wifi, True, "", "")
    wifi.waiting += 1
    reason = "cancelled"
    try:
        orders = wifi.ordering()
        await orders.acquire()
        try:
            if leaving is not None and wifi.station.isconnected():
                await leaving()
            reason = await _try(wifi, ssid, password)
            if reason:
                await wifi.leave()
            else:
                wifi.tested = (ssid, password)
        finally:
            orders.release()
    finally:
        wifi.waiting -= 1
        # Whatever was tried before, the stored network is due now.
        wifi.next_attempt = None
        _set_test_state(wifi, False, "Fail" if reason else "Success", reason)
    return not reason, reason


async def _try(wifi, ssid, password):
    wifi.tested = None
    reason = ""
    for _ in range(wifi.TEST_ATTEMPTS):
        reason = await wifi.join(ssid, password)
        if not reason:
            return "" if await _holds(wifi) else CONNECTION_LOST
        if reason == NO_ADDRESS:
            break
    return reason


async def _holds(wifi):
    """Whether the connection lasts for HOLD_MS."""
    deadline = ticks_add(ticks_ms(), wifi.HOLD_MS)
    while ticks_diff(deadline, ticks_ms()) > 0:
        await asyncio.sleep_ms(wifi.WATCH_MS)
        if not wifi.station.isconnected():
            return False
    return True


def _set_test_state(wifi, running, result, reason):
    state = wifi.test_state
    state["wifi/test/running"] = running
    state["wifi/test/result"] = result
    state["wifi/test/reason"] = reason
    try:
        wifi.refresh()
    except MemoryError:
        pass  # `run` publishes it


def store(wifi, ssid, password):
    """See `wifi.Wifi.store`."""
    check(ssid, password)
    others = [known for known, _ in wifi.config.networks() if known != ssid]
    _save(wifi, [ssid] + others[: NETWORKS_MAX - 1], password)


def forget(wifi, ssid):
    """Forget a stored network.

    Raises:
        ValueError: it isn't stored.
        OSError: it can't be saved.
    """
    networks = wifi.config.networks()
    if not any([known == ssid for known, _ in networks]):
        raise ValueError("this network is not stored")
    left = [network for network in networks if network[0] != ssid]
    _save(wifi, [known for known, _ in left], left[0][1] if left else "")


def order(wifi, ssids):
    """Have the stored networks in this order, a list of all their SSIDs.

    Raises:
        ValueError: these aren't the stored ones.
        OSError: it can't be saved.
    """
    passwords = dict(wifi.config.networks())
    if not isinstance(ssids, list) or sorted(ssids) != sorted(passwords):
        raise ValueError("the networks must be those that are stored")
    _save(wifi, ssids, passwords[ssids[0]] if ssids else "")


def _save(wifi, ssids, password):
    changes = {"sta/ssid": ssids[0] if ssids else "", "sta/pass": password}
    if ssids[1:] != list(wifi.config.get("sta/more")):
        changes["sta/more"] = ssids[1:]
    wifi.config.set_all(changes)
    wifi.config.save()
    wifi.reread()


async def join(wifi, ssid, password, leaving):
    """Join a network now, and store it if that works; else go back to where it was.

    Returns:
        As `wifi.Wifi.test`.

    Raises:
        ValueError, WifiError: as that does.
        OSError: it works and can't be saved.
    """
    good, reason = await test(wifi, ssid, password, leaving)
    if good:
        store(wifi, ssid, password)
    return good, reason


def by_order_and_signal(station, networks):
    """The networks, (SSID, password), as they are to be tried: those that are well heard in their
    order, then the others that are heard, the strongest first, then the rest, which may be hidden.
    """
    try:
        heard = {}
        for found in station.scan():
            ssid, signal = printable(found[0]), found[3]
            heard[ssid] = max(signal, heard.get(ssid, signal))
    except (OSError, RuntimeError):
        return networks
    good = [each for each in networks if heard.get(each[0], WEAK - 1) >= WEAK]
    weak = [each for each in networks if each[0] in heard and each not in good]
    weak.sort(key=lambda each: -heard[each[0]])
    return good + weak + [each for each in networks if each[0] not in heard]
