"""HTTP/1.1 server (RFC 9110, RFC 9112): routes are names, handlers are functions.

    from httpd import HTTPError, Server, asset

    server = Server()
    server.route("/", asset("page.htm"))

    @server.get("/hello/<name>")
    async def hello(request, name):
        return {"hello": name}

    server.listen("0.0.0.0", 80)

A handler gets the `Request` and the path's parameters and returns what `Response` describes. It
may be a plain function, which is answered without a task, or a coroutine.
"""

import lazy

# Literals, which stay in flash.
__getattr__ = lazy.loader(
    globals(),
    (
        ("application", ("Application",)),
        ("assets", ("Asset", "asset")),
        ("connection", ()),
        ("errors", ("HTTPError",)),
        ("files", ("file_response",)),
        ("request", ("Request",)),
        ("response", ("Response", "redirect")),
        ("server", ("Server",)),
    ),
)
