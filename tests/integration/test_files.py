"""Files of apps over the network: /api/files, and make push, which uses it."""

import json
import os
import subprocess
import sys

import pytest

from raw import Connection
from support import DEADLINE, ROOT
from test_auth import PASSWORD, log_in, make_token, set_password


@pytest.fixture
def ask(image):
    """Asks as the owner: (method, path below /api/files, body) gives the response."""
    assert set_password(image).status == 200
    header = f"Authorization: Bearer {log_in(image)}"

    def request(method, path="", body=b""):
        with Connection(image.http_port) as connection:
            return connection.get("/api/files" + path, header, method=method, body=body)

    return request


def test_files_are_listed_put_read_and_removed(image, ask):
    assert json.loads(ask("GET").body)["folders"] == []
    assert ask("PUT", "/apps/pump/__init__.py", b"x = 1\n").status == 201
    assert ask("PUT", "/apps/pump/data/table.json", b"{}").status == 201
    assert ask("PUT", "/lib/one.py", b"1").status == 201
    assert ask("PUT", "/lib/one.py", b"12").status == 200
    overview = json.loads(ask("GET").body)
    assert overview["folders"] == ["apps", "lib"]
    assert 0 < overview["free"] <= overview["size"]
    assert json.loads(ask("GET", "/apps/pump").body) == {"files": {"__init__.py": 6, "data": None}}
    answer = ask("GET", "/lib/one.py")
    assert (answer.body, answer.headers["cache-control"]) == (b"12", "no-store")
    assert (image.data / "apps/pump/__init__.py").read_bytes() == b"x = 1\n"
    refused = ask("DELETE", "/apps/pump/data")
    assert (refused.status, refused.body) == (409, b"the folder isn't empty\n")
    assert ask("DELETE", "/apps/pump/data/table.json").status == 204
    assert ask("DELETE", "/apps/pump/data").status == 204
    assert ask("DELETE", "/apps/pump/data").status == 404
    assert ask("GET", "/apps/pump/data").status == 404
    assert ask("DELETE", "/apps/pump/__init__.py").status == 204


def test_a_file_of_the_page_is_used_at_once(image, ask):
    with Connection(image.http_port) as connection:
        assert connection.get("/static/mine.txt").status == 404
    assert ask("PUT", "/www/static/mine.txt", b"mine").status == 201
    with Connection(image.http_port) as connection:
        assert connection.get("/static/mine.txt").body == b"mine"


@pytest.mark.parametrize(
    "name",
    (
        "/admin.json",
        "/app.json",
        "/secrets.json",
        "/apps/../admin.json",
        "/apps/%2e%2e/admin.json",
        "/apps//x",
        "/apps/.hidden",
        "/lib/",
        "//apps/x",
        "/main.py/x",
    ),
)
def test_nothing_beside_the_folders_is_reached(image, ask, name):
    before = (image.data / "admin.json").read_bytes()
    for method in ("GET", "PUT", "DELETE"):
        answer = ask(method, name, b"{}")
        assert answer.status in (400, 404), (method, answer)
        assert b"hash" not in answer.body
    assert (image.data / "admin.json").read_bytes() == before
    assert not (image.data / "main.py").exists()


def test_names_and_sizes_are_checked(image, ask):
    for name, why in (
        ("/apps", "a file is in one of the folders apps, lib, www"),
        ("/apps/x.part", "a name does not end in .part"),
        ("/apps/" + "x" * 65, "a name has at most 64 bytes"),
        ("/apps/a%00", "a name has no control characters"),
    ):
        answer = ask("PUT", name, b"1")
        assert (answer.status, answer.body.decode()) == (400, why + "\n")
    assert ask("PUT", "/apps/big.py", b"#" * 131_073).status == 413
    assert not list(image.data.glob("apps/*"))


def test_there_are_no_files_before_there_is_a_password(image):
    for method, path in (
        ("GET", ""),
        ("GET", "/apps"),
        ("PUT", "/apps/x.py"),
        ("DELETE", "/apps/x.py"),
    ):
        with Connection(image.http_port) as connection:
            answer = connection.get("/api/files" + path, method=method, body=b"1")
        assert (answer.status, answer.body) == (
            403,
            b"files are reached once there is an admin password\n",
        )
    assert not (image.data / "apps").exists()


@pytest.mark.parametrize("right", ["read", "control", "settings"])
def test_files_take_the_right_admin(image, ask, right):
    token = make_token(image, log_in(image), "some", right)
    for method, path in (("GET", ""), ("GET", "/apps/x.py"), ("PUT", "/apps/x.py")):
        with Connection(image.http_port) as connection:
            answer = connection.get("/api/files" + path, token, method=method, body=b"1")
        assert (answer.status, answer.body) == (403, b"this takes the right admin\n")
    with Connection(image.http_port) as connection:
        assert connection.get("/api/files").status == 401


# make push


def push(image, app, *options, password=PASSWORD, token=None):
    """What ci/push.py does with an app: (exit code, output)."""
    secrets = {"WEBSOCK_TOKEN": token} if token else {"WEBSOCK_PASSWORD": password}
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "ci/push.py",
            f"http://127.0.0.1:{image.http_port}",
            app,
            *options,
        ],
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
        timeout=DEADLINE * 4,
    )
    return done.returncode, done.stdout + done.stderr


APP = """
from interfaces import Interface


class Tank(Interface):
    def start(self):
        raise RuntimeError("no sensor " + NAME)
"""


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


TANK = {"interfaces": [{"type": "tanks.Tank", "name": "tank"}]}


@pytest.mark.image(files={"app.json": json.dumps(TANK).encode()})
def test_a_package_is_pushed_restarted_and_its_traceback_read(image, tmp_path):
    assert set_password(image).status == 200
    package = tmp_path / "tanks"
    write(package, {"__init__.py": 'NAME = "one"\n' + APP, "old.py": "", "sub/x.py": ""})
    code, output = push(image, package, "--seconds", "4")
    assert code == 0, output
    assert "push: apps/tanks/__init__.py, " in output and " bytes are free" in output
    assert "no sensor one" in output and 'File "/apps/tanks/__init__.py", line 8' in output
    # What isn't here any more isn't there either.
    (package / "old.py").unlink()
    (package / "sub/x.py").unlink()
    write(package, {"__init__.py": 'NAME = "two"\n' + APP})
    code, output = push(image, package, "--seconds", "4")
    assert code == 0 and "no sensor two" in output, output
    assert "push: apps/tanks/old.py removed" in output and "push: apps/tanks/sub removed" in output
    assert [path.name for path in (image.data / "apps/tanks").iterdir()] == ["__init__.py"]


def test_a_module_and_a_folder_are_pushed(image, tmp_path):
    assert set_password(image).status == 200
    token = make_token(image, log_in(image), "ci", "admin").rpartition(" ")[2]
    write(tmp_path, {"mine.py": "x = 1\n", "all/lib/a.py": "", "all/notes": ""})
    assert push(image, tmp_path / "mine.py", "--no-follow", token=token)[0] == 0
    assert push(image, tmp_path / "all", "--no-follow", token=token)[0] == 0
    assert (image.data / "apps/mine.py").read_text() == "x = 1\n"
    assert (image.data / "lib/a.py").exists() and not (image.data / "notes").exists()


def test_what_can_not_be_pushed(image, tmp_path):
    assert set_password(image).status == 200
    write(tmp_path, {"mine.py": "", "empty/notes": ""})
    for app, password, why in (
        ("nothing", PASSWORD, "there is no"),
        ("empty", PASSWORD, "is no package and has no folder"),
        ("mine.py", "another one", "POST /login: 401"),
    ):
        code, output = push(image, tmp_path / app, password=password)
        assert code == 1 and output.startswith("error: ") and why in output
        assert "Traceback" not in output
    image.stop()
    code, output = push(image, tmp_path / "mine.py")
    assert code == 1 and output.startswith("error: http://127.0.0.1:")
