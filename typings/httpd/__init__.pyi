from .assets import Asset as Asset
from .assets import asset as asset
from .errors import HTTPError as HTTPError
from .files import file_response as file_response
from .request import Request as Request
from .response import Response as Response
from .response import redirect as redirect
from .server import Server as Server
