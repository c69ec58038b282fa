from .accepting import ServerConnection as ServerConnection
from .listening import Server as Server
from .serving import serve as serve
