"""What a page asks first: whether there is a password, and what it may do (GET /api/session)."""

from httpd import Response


def session(device, request):
    access = device.access
    headers = (("Cache-Control", "no-store"),)
    seconds = device.config.get("https/hsts")
    if seconds and request.secure:
        # RFC 6797 section 6.1. Every page asks for this, and once is enough for a browser.
        headers += (("Strict-Transport-Security", f"max-age={seconds}"),)
    right = access.right(request, request.peer)
    return Response(
        {
            "password": access.password is not None,
            "authenticated": right is not None,
            "right": right,
        },
        headers=headers,
    )
