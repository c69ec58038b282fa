from .accepting import ServerConnection as ServerConnection
from .listen import Server as Server
from .serving import serve as serve
