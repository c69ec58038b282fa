"""Ask README's route: its entry of the table is the argument, its module lies in this folder."""

import json
import os
import sys

sys.path.append(os.getcwd())

import hello
from httpd import Server
from httpd.request import Request


class Config:
    def get(self, path):
        assert path == "device/iam"
        return "pump-7"


class Device:
    config = Config()


# On a chip the module is frozen where the table says.
sys.modules["device.routes.hello"] = hello

server = Server()
server.routes(eval(f"({sys.argv[1]})"), Device())
print(json.dumps(server.dispatch(Request("GET", "/hello/you", 1, {"host": "device"}, 0))))
