"""What is to be told of the network that the station is on. Imported once it is on one."""

# Signals that differ by less are the same to people, in dB.
SIGNAL_STEP = 3


def status(wifi, state):
    """Put the wifi/net/* keys of a `wifi.Wifi` that is connected into `state`."""
    station = wifi.station
    address, _, gateway, dns = station.ifconfig()
    state["wifi/net/connected"] = True
    state["wifi/net/ap"] = essid(wifi)
    state["wifi/net/ip"] = address
    state["wifi/net/gw"] = gateway
    state["wifi/net/dns"] = dns
    try:
        signal = station.status("rssi")
    except OSError:
        return  # it has just left
    if abs(signal - wifi.signal) >= SIGNAL_STEP:
        wifi.signal = signal
    state["wifi/net/rssi"] = wifi.signal


def essid(wifi):
    """The network's name as text."""
    try:
        return wifi.station.config("essid")
    except UnicodeError:
        return wifi.joined  # its bytes are no text: see credentials.ssid_bytes
