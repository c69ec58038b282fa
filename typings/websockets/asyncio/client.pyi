from ..client import ClientConnection as ClientConnection
from ..client import connect as connect
