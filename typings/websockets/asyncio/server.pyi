from ..accepting import ServerConnection as ServerConnection
from ..connection import broadcast as broadcast
from ..listen import Server as Server
from ..serving import serve as serve
