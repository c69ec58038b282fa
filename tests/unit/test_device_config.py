"""The configuration's fields, where they are kept, and what bad files do."""

import json
import os

import vfs
from device.settings import config as module
from device.settings import storage
from device.settings.config import Config

HOST_ONLY = True  # needs the host's board module

FOLDER = "/tmp/test_device_config"


def in_folder(files, call):
    """Run `call` with a folder holding `files` (name -> object or text) as the filesystem."""
    try:
        os.mkdir(FOLDER)
    except OSError:
        pass
    for name in os.listdir(FOLDER):
        os.remove(FOLDER + "/" + name)
    for name, content in files.items():
        with open(FOLDER + "/" + name, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(FOLDER), "/")
    try:
        return call()
    finally:
        vfs.umount("/")
        vfs.mount(vfs.VfsPosix(), "/")


def stored(name):
    with open(FOLDER + "/" + name) as file:
        return json.load(file)


SEED_NETWORK = {
    "device": {"iam": "Device_1", "dev": "ESP32"},
    "ap": {"essid": "site", "authmode": 3, "password": "longenough", "hidden": False},
    "sta": {"ssid": "home", "pass": "secret-pass"},
    "wsserver": {"ip": "192.168.3.1", "port": 7777},
}
SEED_APP = {
    "app": "demo",
    "echoserver": {"listen_addr": "0.0.0.0", "listen_port": 7001},
    "demo": {
        "http": {"ip": "0.0.0.0", "port": 8000},
        "websocket": {"ip": "0.0.0.0", "port": 7001},
        "home": {"ip": "192.168.3.1", "port": 7771},
    },
}


def test_nothing_on_flash_gives_the_defaults():
    config = in_folder({}, Config)
    assert config.problems == []
    assert config.get("app") == "demo"
    assert config.get("http/port") == 80
    assert config.get("websocket/port") == 7777
    assert config.get("https/port") == 0
    assert config.get("home/ip") == config.get("home/host") == ""
    assert config.get("sta/ssid") == ""
    assert config.get("device/iam").startswith("websock-")


def test_files_of_the_seed_are_read():
    config = in_folder({"network.json": SEED_NETWORK, "app.json": SEED_APP}, Config)
    assert config.problems == []
    assert config.get("device/iam") == "Device_1"
    assert config.get("ap/essid") == "site"
    assert config.get("ap/password") == "longenough"
    assert config.get("sta/pass") == "secret-pass"
    assert config.get("http/port") == 8000
    assert config.get("home/ip") == "192.168.3.1"
    assert config.get("home/port") == 7771
    assert config.get("echoserver/listen_port") == 7001


def test_fields_at_the_top_of_app_json_are_read():
    config = in_folder({"app.json": {"http": {"port": 81}, "demo": {"home": {"port": 1}}}}, Config)
    assert config.get("http/port") == 81
    assert config.get("home/port") == 1


def test_bad_field_is_reported_and_its_default_used():
    cases = (
        ({"http": {"port": "80"}}, "http/port must be a whole number"),
        ({"http": {"port": 65536}}, "http/port must be 0 to 65535"),
        ({"http": {"port": True}}, "http/port must be a whole number"),
        ({"https": {"port": -1}}, "https/port must be 0 to 65535"),
        ({"https": {"redirect": 1}}, "https/redirect must be true or false"),
        ({"https": {"cert": ""}}, "https/cert must have 1 to 64 bytes"),
        ({"limits": {"secure_connections": 0}}, "limits/secure_connections must be 1 to 1000"),
        ({"interfaces": {}}, "interfaces must be a list"),
        ({"home": {"path": "a b"}}, "home/path must have only printable ASCII characters"),
        ({"home": {"ping_interval": 0}}, "home/ping_interval must be 0.1 to 3600"),
        ({"app": 5}, "app must be text"),
        ({"portal": {"dns_port": "53"}}, "portal/dns_port must be a whole number"),
    )
    for content, problem in cases:
        config = in_folder({"app.json": content}, Config)
        assert config.problems == [problem], config.problems
        assert config.get("http/port") == 80 and config.get("app") == "demo"
    network = {
        "ap": {"essid": "x" * 33, "password": "short", "channel": 99, "authmode": 10},
        "sta": {"ssid": "x" * 33, "pass": "x" * 65},
    }
    config = in_folder({"network.json": network}, Config)
    assert config.problems == [
        "ap/essid must have 0 to 32 bytes",
        "ap/authmode must be 0 to 9",
        "ap/password the password must have 8 to 63 bytes, be 64 hexadecimal digits, or be empty",
        "ap/channel must be 1 to 13",
        "sta/ssid must have 0 to 32 bytes",
        "sta/pass must have 0 to 64 bytes",
    ], config.problems
    for section in network:
        for name in network[section]:
            path = f"{section}/{name}"
            assert config.get(path) == Config().get(path), path
    config = in_folder({"network.json": {"device": {"iam": "a/b"}, "ap": {"hidden": 1}}}, Config)
    assert len(config.problems) == 2
    assert config.get("ap/hidden") is False
    # An access point's can't be a key, as that of a network to join.
    key = 16 * "01aF"
    config = in_folder({"network.json": {"ap": {"password": key}, "sta": {"pass": key}}}, Config)
    assert config.problems == ["ap/password must have 0 to 63 bytes"], config.problems
    assert config.get("sta/pass") == key


def test_unknown_fields_are_reported_but_not_an_apps_own():
    config = in_folder(
        {
            "network.json": {"sta": {"ssid": "a", "psk": "b"}, "wlan": 1},
            "app.json": {"mine": {"anything": 1}, "http": {"prot": 80}, "demo": {"x": 1}},
        },
        Config,
    )
    assert sorted(config.problems) == [
        "app.json demo: unknown field x",
        "app.json: unknown field http/prot",
        "network.json: unknown field sta/psk",
        "network.json: unknown field wlan",
    ], config.problems


def test_malformed_files_are_reported_and_defaults_used():
    config = in_folder({"network.json": "{", "app.json": "[]", "secrets.json": "x"}, Config)
    assert len(config.problems) == 3
    assert config.get("http/port") == 80


def test_overrides_win_and_are_not_saved():
    def call():
        config = Config({"http/port": 1234})
        config.set("home/port", 5)
        config.save()
        return config

    config = in_folder({"app.json": SEED_APP}, call)
    assert config.get("http/port") == 1234
    assert stored("app.json")["demo"]["http"]["port"] == 8000


def test_set_is_saved_where_the_field_stands():
    def call():
        config = Config()
        config.set("home/port", 5)
        config.set("limits/connections", 9)
        config.set("device/iam", "pump")
        config.save()
        return Config()

    config = in_folder({"app.json": SEED_APP}, call)
    assert config.get("home/port") == 5 and config.get("limits/connections") == 9
    assert stored("app.json")["demo"]["home"] == {"ip": "192.168.3.1", "port": 5}
    assert stored("app.json")["limits"] == {"connections": 9}
    assert stored("network.json") == {"device": {"iam": "pump"}}


def test_set_refuses_what_reading_would():
    config = in_folder({}, Config)
    for path, value, error in (
        ("device/iam", "a b", ValueError),
        ("device/iam", "", ValueError),
        ("http/port", -1, ValueError),
        ("sta/pass", "short", ValueError),
        ("nothing", 1, KeyError),
        ("sta", {}, KeyError),
    ):
        try:
            config.set(path, value)
        except error:
            continue
        raise AssertionError((path, value))


def test_secrets_are_in_their_own_file_only():
    def call():
        config = Config()
        config.set("sta/ssid", "shop")
        config.set("sta/pass", "new-secret")
        config.set("ap/password", "ap-secret-1")
        config.set("home/token", "token-secret")
        config.save()
        return Config()

    app = {"demo": {"home": {"token": "old-secret"}}}
    config = in_folder({"network.json": SEED_NETWORK, "app.json": app}, call)
    assert config.get("home/token") == "token-secret"
    assert config.get("sta/pass") == "new-secret" and config.get("ap/password") == "ap-secret-1"
    for name in ("network.json", "app.json"):
        try:
            text = json.dumps(stored(name))
        except OSError:
            continue
        assert "secret" not in text and "longenough" not in text, text


def test_power_cut_between_the_files_keeps_each_networks_password():
    def call():
        config = Config()
        config.set("sta/ssid", "first")
        config.set("sta/pass", "password-1")
        config.save()
        with open(module.NETWORK) as file:
            before = file.read()
        config.set("sta/ssid", "second")
        config.set("sta/pass", "password-2")
        config.save()
        assert Config().get("sta/pass") == "password-2"
        # Secrets were written, network.json was not.
        with open(module.NETWORK, "w") as file:
            file.write(before)
        return Config()

    config = in_folder({}, call)
    assert config.get("sta/ssid") == "first" and config.get("sta/pass") == "password-1"


def test_changing_the_network_forgets_the_old_password():
    def call():
        config = Config()
        config.set("sta/ssid", "open-network")
        return config

    config = in_folder({"network.json": SEED_NETWORK}, call)
    assert config.get("sta/pass") == ""


def test_factory_reset_removes_everything():
    def call():
        config = Config()
        config.set("home/port", 5)
        config.save()
        config.factory_reset()
        return os.listdir("/")

    assert in_folder({"network.json": SEED_NETWORK, "app.json": SEED_APP}, call) == []


def test_section_is_the_apps_own_object():
    config = in_folder({"app.json": {"app": "mine", "mine": {"period": 3}}}, Config)
    assert config.section("mine") == {"period": 3}
    assert config.section("other") == {}


class Full:
    """Takes the place of storage.save: from the `good`-th file on flash is full."""

    def __init__(self, good):
        self.left = good
        self.save = storage.save

    def __enter__(self):
        storage.save = self

    def __exit__(self, *error):
        storage.save = self.save

    def __call__(self, path, value):
        if self.left == 0:
            raise OSError(28)
        self.left -= 1
        self.save(path, value)


def test_a_save_that_is_refused_changes_nothing():
    fields = (
        ("sta/ssid", "new", "old"),
        ("sta/pass", "new password", "old password"),
        ("http/port", 8081, 8080),
        ("device/iam", "new", "old"),
    )

    def change():
        config = Config()
        for path, _, old in fields:
            config.set(path, old)
        config.save()
        for good in range(3):
            for path, new, _ in fields:
                config.set(path, new)
            with Full(good):
                try:
                    config.save()
                    raise AssertionError("saved")
                except OSError:
                    pass
            # Not in memory, not on flash, and not with the next save.
            for path, _, old in fields:
                assert config.get(path) == old, path
            config.set("device/dev", str(good))
            config.save()
            again = Config()
            for path, _, old in fields:
                assert again.get(path) == old, (good, path)
            assert again.get("device/dev") == str(good)

    in_folder({}, change)


def test_factory_reset_that_cannot_erase_says_so():
    def reset():
        config = Config()
        config.set("device/iam", "old")
        config.save()
        # A folder can't be removed as a file.
        os.rename("/network.json", "/kept")
        os.mkdir("/network.json")
        try:
            config.factory_reset()
            raise AssertionError("erased")
        except OSError:
            pass
        finally:
            os.rmdir("/network.json")

    in_folder({"app.json": {"http": {"port": 1}}}, reset)
    assert os.listdir(FOLDER) == ["kept"]
