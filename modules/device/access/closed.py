"""What a browser is shown that comes from outside while no admin password is set."""

from httpd import Response

# By itself: what else the page is made of is not for everybody to find the device by.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not set up yet</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.5 sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem }
  h1 { font-size: 1.375rem }
</style>
<h1>This device is not set up yet</h1>
<p>It has no admin password, so here it answers nobody.
<ol>
  <li>Join the device's own Wi-Fi network with a phone or a computer. Its name and password are on
    the device's label, or were printed at its serial port.
  <li>Open <b>http://192.168.4.1/</b> there and set an admin password.
  <li>Come back and log in with it.
</ol>
</html>
"""

_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("Cache-Control", "no-store"),
)


def closed():
    return Response(_PAGE, 403, "text/html; charset=utf-8", _HEADERS)
