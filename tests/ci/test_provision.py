"""Images and labels of a fleet; the filesystem in an image is read by MicroPython itself."""

import csv
import json
import os
import re
import sys

import pytest
from programs import run
from trees import write_files

import boards
import image
import manifests
import provision
from common import BUILD, ROOT, BuildError
from relays import order
from support import program

pytest_plugins = ["esp32_fixtures"]

HEADER = "iam,dev,ssid,password,home_host,home_port,home_path,token,ap_password\n"
FLEET = (
    HEADER
    + 'pump-1,PUMP,"site, north",correct horse,relay.example.com,7770,/pumps/1,t0ken,\n'
    + "\n"
    + "pump-2,,,,,,,,chosen-password\n"
)
VFS = boards.partition("vfs", boards.read_partitions())

# Mounts an image as the chip does and prints what the device makes of its settings.
READER = program("provisioned_settings")


def in_environment(tmp_path, program, *arguments):
    """Run a Python program with ci/ and the libraries of ci/esp32.txt."""
    python = manifests.tool("python")
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'ci')!r})\n{program}"
    return run([python, "-c", program, *arguments], cwd=tmp_path)


@pytest.fixture
def fleet(tmp_path):
    """A function that provisions a CSV file's text; returns the program and the folder."""
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "ESP32_WEBSOCK-default-v1.bin").write_bytes(b"firmware" * 1000)
    program = f"""
import image, pathlib, provision
image.DIST = pathlib.Path({str(dist)!r})
provision.FLEET = image.DIST / "fleet"
from common import main
sys.argv[1:] = sys.argv[1:] or ["fleet.csv", "ESP32_WEBSOCK"]
main(provision.step)
"""

    def make(text, *arguments):
        (tmp_path / "fleet.csv").write_text(text)
        return in_environment(tmp_path, program, *arguments), dist / "fleet"

    return make


def test_each_device_gets_an_image_with_its_settings(fleet, tmp_path):
    interpreter = BUILD / "host" / "micropython"
    if not interpreter.exists():
        pytest.skip('run "make host" first')
    done, folder = fleet(FLEET)
    assert done.returncode == 0, done.stderr
    assert "2 devices with ESP32_WEBSOCK-default-v1.bin" in done.stdout
    names = {path.name for path in folder.iterdir()}
    assert names == {"pump-1.bin", "pump-2.bin", "labels.html", "devices.csv"}

    fields = ["device/iam", "device/dev", "ap/essid", "ap/password", "sta/ssid", "sta/pass"]
    fields += ["home/host", "home/port", "home/path"]
    found = {}
    for device in ("pump-1", "pump-2"):
        image = (folder / f"{device}.bin").read_bytes()
        assert image.startswith(b"firmware" * 1000 + b"\xff")
        (tmp_path / "vfs.bin").write_bytes(image[VFS.offset :])
        (tmp_path / "reader.py").write_text(READER)
        done = run(
            [interpreter, tmp_path / "reader.py", tmp_path / "vfs.bin", VFS.size // 4096, *fields],
            env={**os.environ, "MICROPYPATH": ".frozen"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        problems, found[device] = json.loads(done.stdout)
        assert problems == []
    with (folder / "devices.csv").open() as file:
        passwords = {row["iam"]: row["ap_password"] for row in csv.DictReader(file)}
    assert found["pump-1"] == {
        "device/iam": "pump-1",
        "device/dev": "PUMP",
        "ap/essid": "pump-1",
        "ap/password": passwords["pump-1"],
        "sta/ssid": "site, north",
        "sta/pass": "correct horse",
        "home/host": "relay.example.com",
        "home/port": 7770,
        "home/path": "/pumps/1",
    }
    assert found["pump-2"]["ap/password"] == passwords["pump-2"] == "chosen-password"
    assert found["pump-2"]["sta/ssid"] == ""
    assert re.fullmatch(f"[{provision.ALPHABET}]{{12}}", passwords["pump-1"])


def test_labels_have_codes_for_the_wifi_and_the_page(fleet):
    _, folder = fleet(FLEET)
    text = (folder / "labels.html").read_text()
    assert text.count("<svg") == 4
    for device in ("pump-1", "pump-2"):
        assert f"<h1>{device}</h1>" in text
    assert "chosen-password" in text
    assert text.count("http://192.168.4.1/") == 2


def test_only_the_owner_can_read_a_fleet(fleet):
    _, folder = fleet(FLEET)
    assert folder.stat().st_mode & 0o077 == 0


def test_the_code_that_joins_a_network_escapes_its_separators():
    code = provision.wifi_code('a;b,c:d"e\\f', "pass;word")
    assert code == 'WIFI:T:WPA;S:a\\;b\\,c\\:d\\"e\\\\f;P:pass\\;word;;'


def test_passwords_differ():
    assert len({provision.new_password() for _ in range(100)}) == 100


def test_how_the_relay_is_reached():
    text = f"iam,home_host,home_tls,home_key\na,b,TRUE,{'0a' * 32}\nc,b,false,\nd,b,,\n"
    homes = [provision.settings(d)["app.json"]["home"] for d in provision.read_fleet(text, "f")]
    assert homes == [
        {"host": "b", "tls": True, "key": "0a" * 32},
        {"host": "b", "tls": False},
        {"host": "b"},
    ]


def test_tokens_are_made_and_the_relay_takes_them(tmp_path):
    text = (
        "iam,home_host,home_path,token\na,relay,,new\nb,relay,/site/b,new\nc,relay,,s3cret\nd,,,\n"
    )
    devices = provision.read_fleet(text, "f")
    tokens = [device.token for device in devices]
    assert tokens[2:] == ["s3cret", ""] and len(set(tokens)) == 4
    assert all(len(token) == 43 for token in tokens[:2])
    assert provision.settings(devices[0])["secrets.json"]["home/token"] == tokens[0]
    listing = tmp_path / "devices.csv"
    listing.write_text(provision.listing(devices))
    data = tmp_path / "relay"
    assert order(data, "device-tokens", listing) == "3 tokens are new, 0 were known"
    assert order(data, "device-tokens", listing) == "0 tokens are new, 3 were known"
    assert order(data, "devices").split() == ["a", "c", "site/b"]
    listing.write_text("iam\na\n")
    for file in (listing, tmp_path / "none"):
        with pytest.raises(AssertionError, match="relay: "):
            order(data, "device-tokens", file)


def test_the_token_is_among_the_secrets_alone():
    (device,) = provision.read_fleet("iam,token,home_host\na,s3cret,relay\n", "f")
    files = provision.settings(device)
    assert files["secrets.json"]["home/token"] == "s3cret"
    assert "s3cret" not in json.dumps([files["network.json"], files["app.json"]])


def test_hosts():
    for name in ("relay", "relay.example.com.", "a_b-c.x1", "10.0.0.7", "fe80::1", "1a.example"):
        (device,) = provision.read_fleet(f"iam,home_host\na,{name}\n", "f")
        assert device.home_host == name


def test_key_of_a_network_to_join_may_be_given_itself():
    key = "0123456789abcDEF" * 4
    (device,) = provision.read_fleet(f"iam,ssid,password\na,site,{key}\n", "f")
    assert device.password == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f: line 1: column 'iam' is missing"),
        ("iam\n", "f: there is no device in it"),
        ("iam,color\na,red\n", "f: line 1: there is no column 'color'"),
        ("iam,iam\na,b\n", "f: line 1: column 'iam' comes twice"),
        ("iam,dev\na\n", "f: line 2, column dev: is missing, the line has 1 columns"),
        ("iam,dev\na,b,c\n", "f: line 2, column 3: there is no such, the line has 3 columns"),
        ("iam\n..\n", "f: line 2, column iam: must have 1 to 32 letters"),
        ("iam\na b\n", "f: line 2, column iam: must have 1 to 32 letters"),
        ("iam\na\n\nb\na\n", "f: line 5, column iam: the same as in line 2"),
        ("iam\npump\nPump\n", "f: line 3, column iam: the same as in line 2"),
        ('iam,ssid\na,"x\ny"\n', "f: line 2, column ssid: must not have control characters"),
        ('iam,ssid\na,"x"\nb,"y\nz"\n', "f: line 3, column ssid: must not have control"),
        ("iam,ssid\na,caf\udce9\n", "f: line 2, column ssid: must be text in UTF-8"),
        (
            "iam,ssid,password\na,n,8 f\udcfcr Wi-Fi\n",
            "f: line 2, column password: must be text in",
        ),
        ("\udcff\udcfei\0a\0m\0\n\0", "f: line 1: must be text in UTF-8"),
        ("iam,home_host\na,ws://relay/\n", "f: line 2, column home_host: must be a host's name"),
        ("iam,home_host\na,relay:7770\n", "f: line 2, column home_host: must be a host's name"),
        ("iam,home_port\na,\u0661\n", "f: line 2, column home_port: must be 1 to 65535"),
        (f"iam,ssid\na,{'x' * 33}\n", "f: line 2, column ssid: must have up to 32 bytes"),
        ("iam,ssid,password\na,n,short\n", "f: line 2, column password: must have 8 to 63 bytes"),
        ("iam,password\na,long-enough\n", "f: line 2, column password: there is no ssid"),
        ("iam,home_port\na,0\n", "f: line 2, column home_port: must be 1 to 65535"),
        ("iam,home_port\na,http\n", "f: line 2, column home_port: must be 1 to 65535"),
        ("iam,home_path\na,/a b\n", "f: line 2, column home_path: must have only printable"),
        ("iam,ssid\na,x\ty\n", "f: line 2, column ssid: must not have control characters"),
        ('iam\n"a\n', "f: line 2, column iam: unexpected end of data"),
        ('iam,ssid\na,"open\nb,x\nc,x\n', "f: line 2, column ssid: unexpected end of data"),
        ('iam\na\n\nb,"x"y\n', "f: line 4: ',' expected after"),
        ('"iam\na\n', "f: line 1: unexpected end of data"),
        *(
            (f"iam,home_host\na,{name}\n", "f: line 2, column home_host: must be a host's name")
            for name in (
                "::::",
                "..",
                "-",
                "a-.b",
                "1.2.3.4.5",
                "1.2.3.256",
                "a..b",
                "fe80::1%eth0",
            )
        ),
        ("iam,home_port\na,7770\n", "f: line 2, column home_port: there is no home_host"),
        ("iam,home_path\na,/x\n", "f: line 2, column home_path: there is no home_host"),
        ("iam,token\na,x\n", "f: line 2, column token: there is no home_host"),
        ("iam,home_tls\na,false\n", "f: line 2, column home_tls: there is no home_host"),
        ("iam,home_host,home_tls\na,b,no\n", "f: line 2, column home_tls: must be true or false"),
        (
            "iam,home_host,home_key\na,b,12\n",
            "f: line 2, column home_key: must have 64 hexadecimal digits",
        ),
        (
            f"iam,ap_password\na,{'0123' * 16}\n",
            "f: line 2, column ap_password: must have 8 to 63 bytes",
        ),
    ],
)
def test_a_bad_row_is_named_by_line_and_column(text, problem):
    with pytest.raises(BuildError) as error:
        provision.read_fleet(text, "f")
    assert str(error.value).startswith(problem)


def test_a_file_in_another_encoding_is_named_by_line_and_column(fleet, tmp_path):
    _, folder = fleet(FLEET)
    (tmp_path / "old.csv").write_bytes("iam,ssid\na,site\nb,café\n".encode("latin-1"))
    done, _ = fleet(FLEET, "old.csv", "ESP32_WEBSOCK")
    assert done.stderr == "error: old.csv: line 3, column ssid: must be text in UTF-8\n"
    assert (folder / "pump-1.bin").exists()


def test_a_file_as_a_spreadsheet_writes_it_is_taken(fleet, tmp_path):
    (tmp_path / "sheet.csv").write_bytes(b'\xef\xbb\xbfiam,ssid\r\n"a","caf\xc3\xa9 ""x"""\r\n')
    done, folder = fleet(FLEET, "sheet.csv", "ESP32_WEBSOCK")
    assert done.returncode == 0, done.stderr
    assert b'caf\\u00e9 \\"x\\"' in (folder / "a.bin").read_bytes()


@pytest.mark.parametrize("host", ["relay.example.com", "192.168.1.7", "fe80::1", "relay_2"])
def test_a_relay_is_a_name_or_an_address(host):
    (device,) = provision.read_fleet(f"iam,home_host\na,{host}\n", "f")
    assert device.home_host == host


def test_every_bad_row_is_named_at_once():
    text = "iam,home_host,home_port\na,r,0\nb,r,1\nc d,r,x\n"
    with pytest.raises(BuildError) as error:
        provision.read_fleet(text, "f")
    assert len(str(error.value).splitlines()) == 3


def test_a_bad_row_leaves_the_fleet_before_as_it_is(fleet):
    _, folder = fleet(FLEET)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done, folder = fleet(FLEET + "bad name,,,,,,,,\n")
    assert done.returncode == 1
    assert "fleet.csv: line 5, column iam" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {"fleet"}


def test_the_fleet_before_is_not_lost_when_the_new_one_can_not_take_its_place(
    tmp_path, monkeypatch
):
    (device,) = provision.read_fleet("iam\na\n", "f")
    monkeypatch.setattr(provision, "merged", lambda image, files, partition: b"new")
    monkeypatch.setattr(provision, "labels", lambda devices: "")
    target = write_files(tmp_path / "fleet", {"a.bin": "before"})
    replace = os.replace

    def fail_at_the_last(source, destination):
        if destination == target:
            raise KeyboardInterrupt
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        provision.provision([device], b"", target)
    assert (tmp_path / "fleet.old" / "a.bin").read_text() == "before"


def test_a_device_that_left_the_file_leaves_the_folder(fleet):
    _, folder = fleet(FLEET)
    fleet(HEADER + "pump-2,,,,,,,,chosen-password\n")
    assert {path.name for path in folder.glob("*.bin")} == {"pump-2.bin"}


def test_an_image_that_reaches_into_the_filesystem_is_refused():
    with pytest.raises(BuildError, match="reaches into partition vfs"):
        provision.merged(b"x" * (VFS.offset + 1), {}, VFS)


def test_what_is_missing_is_said(fleet):
    done, folder = fleet(FLEET, "fleet.csv", "ESP32_WEBSOCK", "ETH")
    assert "make firmware BOARD=ESP32_WEBSOCK VARIANT=ETH" in done.stderr
    done, _ = fleet(FLEET, "nosuch.csv", "ESP32_WEBSOCK")
    assert "nosuch.csv" in done.stderr
    assert not folder.exists()
    done = run([sys.executable, ROOT / "ci" / "provision.py", "", "ESP32_WEBSOCK"])
    assert "make provision CSV=fleet.csv" in done.stderr


def test_the_limits_are_the_devices():
    text = (ROOT / "modules" / "device" / "net" / "wifi_start.py").read_text()
    assert f'PASSWORD_ALPHABET = "{provision.ALPHABET}"' in text
    text = (ROOT / "modules" / "device" / "settings" / "credentials.py").read_text()
    assert f"SSID_MAX = {provision.SSID_MAX}\n" in text
    assert image.ERASED == b"\xff"
