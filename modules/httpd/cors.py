"""Which other sites' pages may use a server (Fetch Standard, section 3.2, CORS protocol)."""

from .response import Response


class CORS:
    """Answers preflights, and tells browsers what pages of other sites may read.

    Args:
        server: the `Application`, or one that will be mounted.
        origins: as ("https://example.org",); "*" for all.
        methods: that pages may use beside GET, HEAD and POST.
        headers: request fields that they may send beside those that forms have.
        expose: response fields that they may read beside the usual ones.
        credentials: whether requests with cookies count too.
        max_age: seconds that a browser may remember the answer to a preflight.

    Raises:
        ValueError: credentials for all origins, which the standard doesn't allow.
    """

    def __init__(
        self,
        server,
        origins,
        methods=("PUT", "PATCH", "DELETE"),
        headers=("Content-Type", "Authorization"),
        expose=(),
        credentials=False,
        max_age=600,
    ):
        if origins == "*" and credentials:
            raise ValueError("credentials need the origins' names")
        self._origins = origins
        self._credentials = credentials
        self._expose = ", ".join(expose)
        self._preflight = (
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", ", ".join(headers)),
            ("Access-Control-Max-Age", str(max_age)),
        )
        server.before_request(self._before)
        server.after_request(self._after)

    def _before(self, request):
        headers = request.headers
        if request.method == "OPTIONS" and "access-control-request-method" in headers:
            # Whose origin isn't allowed learns no more; its browser refuses for it.
            known = self._origins == "*" or headers.get("origin") in self._origins
            return Response(b"", 204, headers=self._preflight if known else ())
        return None

    def _after(self, request, response):
        response.headers = tuple(response.headers) + self._fields(request)

    def _fields(self, request):
        fields = () if self._origins == "*" else (("Vary", "Origin"),)
        origin = request.headers.get("origin")
        if origin is None or (self._origins != "*" and origin not in self._origins):
            return fields
        allowed = "*" if self._origins == "*" else origin
        fields += (("Access-Control-Allow-Origin", allowed),)
        if self._credentials:
            fields += (("Access-Control-Allow-Credentials", "true"),)
        if self._expose:
            fields += (("Access-Control-Expose-Headers", self._expose),)
        return fields
