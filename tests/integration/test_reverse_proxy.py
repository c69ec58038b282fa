"""The image behind a real nginx or Caddy, which ends TLS and gives the device another name."""

import contextlib
import json
import re

import pytest
from websockets.exceptions import InvalidStatus

from certificates import Authority
from proxies import PROXIES, running
from support import ROOT

NAME = "pump.example.com"
PASSWORD = "correct horse"

DOCUMENT = (ROOT / "docs" / "http.md").read_text()


def documented(language):
    """What docs/http.md says of a proxy."""
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[1]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("server")
    return authority


@pytest.fixture(params=PROXIES)
def make_proxy(request, authority, tmp_path):
    """A function that starts a proxy in front of an image."""
    program, package, *_ = PROXIES[request.param]
    if not program.exists():
        pytest.skip(f"{request.param} is missing: apt-get install {package}")
    with contextlib.ExitStack() as stack:

        def make(image, place="/"):
            folder = tmp_path / "proxy"
            folder.mkdir()
            location = documented(request.param).replace("/pump/", place)
            location = location.replace("192.168.1.20", f"127.0.0.1:{image.http_port}")
            return stack.enter_context(
                running(request.param, NAME, location, folder, authority, place + "health")
            )

        yield make


@pytest.mark.parametrize("make_proxy", ["nginx"], indirect=True)
@pytest.mark.parametrize("settings", [{}, {"proxy": "127.0.0.1"}, {"names": [NAME]}])
def test_the_device_has_to_know_of_it(make_image, make_proxy, settings):
    proxy = make_proxy(make_image(files={"app.json": {"http": settings}}))
    trusted = "proxy" in settings
    # Without http/proxy it goes by nginx's own Host, which is an address.
    assert proxy.ask("GET", "/")[0].status == (421 if trusted else 200)
    answer, _ = proxy.ask("POST", "/password", {"new": PASSWORD}, Origin=f"https://{NAME}")
    assert answer.status == (421 if trusted else 403)


@pytest.mark.image(files={"app.json": {"http": {"proxy": "127.0.0.1", "names": [NAME]}}})
def test_page_login_and_websocket_through_a_proxy(image, make_proxy):
    proxy = make_proxy(image)
    answer, body = proxy.ask("GET", "/")
    assert answer.status == 200 and b"<title>Device</title>" in body
    origin = f"https://{NAME}"
    assert proxy.ask("POST", "/password", {"new": PASSWORD}, Origin=origin)[0].status == 200
    answer, body = proxy.ask("POST", "/login", {"password": PASSWORD}, Origin=origin)
    assert answer.status == 200
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    # Another site's page is refused behind the proxy, too.
    foreign = proxy.ask("POST", "/api/command", ["CMD", "reboot"], Origin="https://evil.example")
    assert foreign[0].status == 403
    with proxy.connect(Cookie=cookie, Origin=origin) as client:
        assert "iam" in json.loads(client.recv())
        client.send(json.dumps(["GET", "log"]))
        while "log" not in json.loads(client.recv()):
            pass
    for headers in ({"Origin": origin}, {"Cookie": cookie, "Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus) as refused:
            proxy.connect(**headers)
        assert refused.value.response.status_code in (401, 403)
    # Its clients are told apart, whatever they say: one that guesses locks out nobody else.
    guess = {"password": "wrong horse"}
    for n in range(6):
        other = {"X-Forwarded-For": f"10.1.1.{n}"}
        last, _ = proxy.ask("POST", "/login", guess, "127.0.0.5", **other)
    assert last.status == 429
    assert proxy.ask("POST", "/login", {"password": PASSWORD})[0].status == 200
    assert "wrong admin password from 127.0.0.5" in image.log()


@pytest.mark.image(files={"app.json": {"http": {"proxy": "127.0.0.1", "names": [NAME]}}})
def test_the_device_in_a_folder_of_the_site(image, make_proxy):
    proxy = make_proxy(image, "/pump/")
    origin = f"https://{NAME}"
    answer, body = proxy.ask("GET", "/pump/")
    assert answer.status == 200
    # Everything that the page loads is beside it.
    for name in re.findall(rb'(?:href|src)="?([^" >]+)', body):
        assert not name.startswith(b"/"), name
        if name.startswith(b"static/"):
            assert proxy.ask("GET", "/pump/" + name.decode())[0].status == 200
    answer, _ = proxy.ask("POST", "/pump/password", {"new": PASSWORD}, Origin=origin)
    assert answer.status == 200
    answer, _ = proxy.ask("GET", "/pump/")
    assert answer.status == 303 and answer.headers["Location"] == "login"
    assert proxy.ask("GET", "/pump/login")[0].status == 200
    answer, _ = proxy.ask("POST", "/pump/login", {"password": PASSWORD}, Origin=origin)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    with proxy.connect("/pump/ws", Cookie=cookie, Origin=origin) as client:
        assert "iam" in json.loads(client.recv())
    scripts = (ROOT / "frozen_www" / "static").glob("*.js")
    assert not [s for s in scripts if re.search(r"""fetch\(["'`]/""", s.read_text())]
