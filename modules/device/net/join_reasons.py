"""Why a network could not be joined, as clients get to read it."""

from micropython import const

WRONG_PASSWORD = "wrong password"
PASSWORD_REQUIRED = "password required"
SECURITY_MISMATCH = "security mismatch"
NOT_FOUND = "network not found"
TOO_WEAK = "signal too weak"
NO_ADDRESS = "no address"
NO_ANSWER = "no answer"
CONNECTION_LOST = "connection lost"

# ESP-IDF's wifi_err_reason_t. A wrong password shows as 15 or 204 as well: all that the station
# notices is that the handshake does not get on.
_NO_COMPATIBLE_SECURITY = const(210)
_BELOW_SECURITY_THRESHOLD = const(211)
_REASONS = {
    15: WRONG_PASSWORD,
    200: CONNECTION_LOST,
    201: NOT_FOUND,
    202: WRONG_PASSWORD,
    204: WRONG_PASSWORD,
    _NO_COMPATIBLE_SECURITY: SECURITY_MISMATCH,
    _BELOW_SECURITY_THRESHOLD: SECURITY_MISMATCH,
    212: TOO_WEAK,
}


# What status() says besides failures (modnetwork.h).
_IDLE = const(1000)
_CONNECTING = const(1001)


def late_reason(station, before, password):
    """Why an attempt did not end in time; `before` is the station's `status()` before it."""
    try:
        # Only known on a network: it took the station, but gave no address.
        station.status("rssi")
        return NO_ADDRESS
    except OSError:
        pass
    status = station.status()
    if status == before and status not in (_IDLE, _CONNECTING):
        # It may be the old failure's, but nothing better is known.
        return reason_of(status, password)
    return NO_ANSWER


def reason_of(status, password):
    """The reason for the station's `status()` after an attempt with `password`."""
    if status == _NO_COMPATIBLE_SECURITY and not password:
        return PASSWORD_REQUIRED
    return _REASONS.get(status, f"refused, reason {status}")
