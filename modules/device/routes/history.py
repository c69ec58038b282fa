"""The history of an interface's values, for charts and spreadsheets."""

import clock
from httpd import HTTPError, Response

_CSV = "text/csv; charset=utf-8"
_NO_STORE = (("Cache-Control", "no-store"),)

# Samples of one piece of the response.
_PIECE = 32


def history(device, request, name, key):
    """GET /api/history/<interface>/<value>: {"begin", "interval", "now", "samples"}, times in
    seconds since the device's start; with .csv behind it lines of the time of day, if it is known,
    that time and the value."""
    as_csv = key.endswith(".csv")
    if as_csv:
        key = key[:-4]
    interface = device.equipment.find(name)
    found = interface and interface.histories and interface.histories.get(key)
    if not found:
        raise HTTPError(404, f"{name}/{key} has no history")
    # A value that holds is published once.
    interface.refresh()
    if not as_csv:
        return Response(_json(found), 200, "application/json", _NO_STORE)
    disposition = ("Content-Disposition", f'attachment; filename="{name}-{key}.csv"')
    boot_time = device.hub.state.get("boot_time")
    return Response(_lines(found, key, boot_time), 200, _CSV, _NO_STORE + (disposition,))


def _text(value):
    # Samples have single precision.
    return f"{value:.7g}"


def _json(found):
    text = f'{{"now": {clock.seconds()}, "begin": {found.begin}, "interval": {found.interval}, '
    text += '"samples": ['
    count = 0
    for _, value in found.rows():
        text += (", " if count else "") + ("null" if value is None else _text(value))
        count += 1
        if count % _PIECE == 0:
            yield text.encode()
            text = ""
    yield (text + "]}").encode()


def _lines(found, key, boot_time):
    from ..wallclock import iso

    text = f"time,seconds,{key}\r\n"
    count = 0
    for at, value in found.rows():
        text += "" if boot_time is None else iso(boot_time + at)
        text += f",{at},{'' if value is None else _text(value)}\r\n"
        count += 1
        if count % _PIECE == 0:
            yield text.encode()
            text = ""
    yield text.encode()
