"""The relay behind a real nginx, by the configuration in its documentation."""

import asyncio
import json
import re

import pytest
from websockets.exceptions import InvalidStatus

from certificates import Authority
from proxies import NGINX, running
from relays import order
from relays import running as running_relay
from support import ROOT

NAME = "relay.example.com"
PASSWORD = "correct horse battery"
TEXT = (ROOT / "docs" / "relay.md").read_text()


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("server")
    return authority


@pytest.mark.skipif(not NGINX.exists(), reason="nginx is missing: apt-get install nginx-light")
async def test_login_page_and_websocket(tmp_path, authority):
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with running_relay(tmp_path / "data", proxies=("127.0.0.1",)) as relay:
        location = re.search(r"```nginx\n(.*?)```", TEXT, re.DOTALL)[1]
        location = location.replace("7771", str(relay.page_port))

        def use():
            with running("nginx", NAME, location, folder, authority, "/health") as proxy:
                # Who comes by a proxy comes from anywhere, also before there are users.
                status = proxy.ask("GET", "/api/devices")[0].status
                assert status == 401
                order(tmp_path / "data", "user", "ann", text=PASSWORD + "\n")
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                response = None
                while response is None or response.status == 401:
                    body = f"name=ann&password={PASSWORD.replace(' ', '+')}"
                    response, _ = proxy.ask("POST", "/login", body, **form)
                assert response.status == 200
                cookie = response.getheader("Set-Cookie")
                assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
                cookie = cookie.partition(";")[0]
                response, text = proxy.ask("GET", "/api/devices", Cookie=cookie)
                assert json.loads(text) == {"devices": []}
                own, evil = f"https://{NAME}", "https://evil.example"
                with proxy.connect("/api/live", Cookie=cookie, Origin=own) as live:
                    assert json.loads(live.recv())["devices"] == []
                with pytest.raises(InvalidStatus, match="403"):
                    proxy.connect("/api/live", Cookie=cookie, Origin=evil)
                with pytest.raises(InvalidStatus, match="401"):
                    proxy.connect("/api/live", Origin=own)

        await asyncio.to_thread(use)
