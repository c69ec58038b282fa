"""What clients are told when Wi-Fi can't do what they ask."""


class WifiError(Exception):
    """What was asked for can't be done now; the text says why, for the user."""


def require_station(wifi):
    """See that a `wifi.Wifi` has a station that can join a network.

    Raises:
        WifiError: there is none.
    """
    if wifi.station is None:
        raise WifiError("this device has no Wi-Fi")
    if not wifi.station.active():
        raise WifiError("the station is not active")
