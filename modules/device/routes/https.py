"""HTTPS. Imported when app.json turns it on; what is wrong with it is one line in the log."""

import board
from httpd import redirect
from transport import AddressError

from ..log import log
from .certificate import Unusable, load


def listen(config, server):
    """Serve at https/ip and https/port, when certificate and key allow it.

    Args:
        config: the `config.Config`.
        server: the `httpd.Server`.

    Returns:
        The `transport.Listener`; None when there is no HTTPS, which is logged.

    Raises:
        AddressError: the port that the program's user asked for is taken.
    """
    try:
        context = load(config.get("https/cert"), config.get("https/key"))
        listener = server.listen(config.get("https/ip"), max(config.get("https/port"), 0), context)
    except AddressError as error:
        if "https/port" in board.overrides:
            raise
        log("error", f"HTTPS is off: {error}")
        return None
    except Unusable as error:
        log("error", f"HTTPS is off: {error}")
        return None
    except (MemoryError, OSError) as error:
        log("error", f"HTTPS is off: no memory for TLS ({error})")
        return None
    return listener


class Redirect:
    """An `httpd.Server.guard` that sends browsers from http:// to https://.

    Not on the device's own access point, where no browser knows the certificate and a phone's
    sign-in page takes no other, and not from /health, which watchdogs ask for.

    Args:
        guard: the `guard.Guard` for what stays.
        port: of HTTPS.
    """

    def __init__(self, guard, port):
        self._guard = guard
        self.owns = guard.owns
        self._port = "" if port == 443 else ":" + str(port)

    def __call__(self, request):
        host = request.headers.get("host")
        if request.secure or not host or request.path == "/health":
            return self._guard(request)
        if not self.owns(host):
            return self._guard(request)
        if board.on_access_point(request.peer):
            return self._guard(request)
        if not host.endswith("]"):
            name, colon, _ = host.rpartition(":")
            host = name if colon else host
        target = request.target
        if not target.startswith("/"):
            # In absolute form (RFC 9112 section 3.2.2); its authority is the Host by now.
            target = "/" + target.partition("://")[2].partition("/")[2]
        # 307 keeps the method (RFC 9110 section 15.4.8), and no browser keeps it for later.
        return redirect("https://" + host + self._port + target, 307)
