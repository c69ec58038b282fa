from ..connection import broadcast as broadcast
from ..server import Server as Server
from ..server import ServerConnection as ServerConnection
from ..serving import serve as serve
