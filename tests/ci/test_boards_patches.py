"""The patches on the ESP32 port, applied to the pinned source by the real git."""

import os
import re
import shutil
from pathlib import Path

import pytest
from programs import run

import boards
import manifests
import patches
from common import BuildError

pytest_plugins = ["esp32_fixtures"]

SERIES = patches.of_port(patches.read_series(), "esp32")


def touched(patch):
    """The files that a patch changes."""
    return re.findall(r"^\+\+\+ b/(\S+)$", patch.read_text(), re.MULTILINE)


@pytest.fixture
def tree(pinned_micropython, tmp_path):
    """A copy of what the patches and the tests read of the pinned source."""
    target = tmp_path / "micropython"
    for name in ("py/mpconfig.h", *(name for patch in SERIES for name in touched(patch))):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pinned_micropython / name, target / name)
    return target


def test_the_patches_of_the_board_are_in_the_series():
    names = {path.stem for path in SERIES}
    assert names >= {"manifest-order", "esp32-accept", "esp32-lan-openeth", "esp32-portal-uri"}
    assert "esp32-lan-events" in names  # for the variant with Ethernet beside Wi-Fi
    # The QEMU variant says which patch it needs.
    variant = boards.BOARDS / "ESP32_WEBSOCK" / "mpconfigvariant_QEMU.cmake"
    (needed,) = re.findall(r"ports_patch/(\S+)\.patch", variant.read_text())
    assert needed in names


def test_each_patch_has_one_purpose():
    for patch in SERIES:
        assert len(touched(patch)) == 1, patch.name


def test_the_series_applies_to_the_pinned_source_and_only_once(tree):
    for patch in SERIES:
        patches.apply(tree, patch)
    lan = (tree / "ports/esp32/network_lan.c").read_text()
    assert lan.count("esp_eth_mac_new_openeth(&mac_config)") == 1
    # Where the option is off, the code is what it was.
    assert lan.count("use_openeth") == 3
    wlan = (tree / "ports/esp32/network_wlan.c").read_text()
    assert wlan.count("case MP_QSTR_portal_uri:") == 2
    accept = (tree / "ports/esp32/modsocket.c").read_text()
    accept = accept[accept.index("mp_obj_t socket_accept(") : accept.index("socket_accept_obj")]
    assert "errno == ENFILE" in accept
    assert accept.index("lwip_close(new_fd)") < accept.index("sock->fd = new_fd")
    for patch in SERIES:
        with pytest.raises(BuildError) as error:
            patches.apply(tree, patch)
        assert f"{patch.name} does not apply to MicroPython 1.28.0" in str(error.value)
        assert touched(patch)[0] in str(error.value)


def test_frozen_modules_have_the_same_order_on_every_filesystem(
    micropython, tmp_path, monkeypatch
):
    tree = tmp_path / "micropython"
    for name in ("extmod/asyncio", "ports/esp32/modules", "tools"):
        shutil.copytree(micropython / name, tree / name)
    (tree / "py").mkdir()
    shutil.copyfile(micropython / "py/mpconfig.h", tree / "py/mpconfig.h")
    (patch,) = [path for path in SERIES if path.stem == "manifest-order"]
    patches.apply(tree, patch)
    board = boards.find("ESP32_WEBSOCK")
    as_listed = manifests.resolve(board, tree)

    walk = os.walk

    def reversed_walk(*arguments, **options):
        for folder, folders, files in walk(*arguments, **options):
            folders.sort(reverse=True)
            yield folder, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", reversed_walk)
    assert manifests.resolve(board, tree) == as_listed


def test_accept_closes_what_it_can_not_return_and_collects_before_it_gives_up(
    micropython, tmp_path
):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler")
    tree = tmp_path / "micropython"
    for name in ("py/mpconfig.h", "ports/esp32/modsocket.c"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(micropython / name, tree / name)

    def outcome():
        source = (tree / "ports/esp32/modsocket.c").read_text()
        start = source.index("static mp_obj_t socket_accept(")
        (tmp_path / "accept.inc").write_text(source[start : source.index("\n}\n", start) + 3])
        program = tmp_path / "accept"
        harness = Path(__file__).with_name("accept_harness.c")
        done = run([compiler, "-w", "-I", tmp_path, "-o", program, harness])
        assert done.returncode == 0, done.stderr
        lines = run([program]).stdout.splitlines()
        return dict(line.rstrip().split(": ") for line in lines)

    # What the patch is for: a leak, and giving up.
    before = outcome()
    assert before["no memory 1"] == "MemoryError collected 0"
    assert before["sockets come free"] == "OSError ENFILE collected 0"

    (patch,) = [path for path in SERIES if path.stem == "esp32-accept"]
    patches.apply(tree, patch)
    assert outcome() == {
        "plain": "accepted 7 collected 0",
        "nobody": "OSError EAGAIN collected 0",
        "sockets come free": "accepted 8 collected 1",
        "sockets come free, nobody else": "OSError EAGAIN collected 1",
        "no sockets": "OSError ENFILE collected 1",
        "no memory 1": "MemoryError closed 9 collected 0",
        "no memory 2": "MemoryError closed 9 collected 0",
        "no memory 3": "MemoryError closed 9 collected 0",
    }


KB = 1024

# What is free of the system heap (see heap_harness.c), and what Python's heap may grow by.
GROWTH = [
    # Before the first growth, with Wi-Fi up, and after it: as seen with the default variant.
    ((141_248, 112_968, 0, 0, 0), 141_248 - 72 * KB),
    ((74_065, 53_572, 0, 0, 0), 74_065 - 72 * KB),
    # Less is free than has to be left, or just as much.
    ((40_000, 30_000, 0, 0, 0), 0),
    ((72 * KB, 72 * KB, 0, 0, 0), 0),
    # More than the largest block it never is.
    ((300_000, 110_000, 0, 0, 0), 110_000),
    # PSRAM, with little internal memory and then with much, as long as there is some of it.
    ((20_000, 10_000, 4096 * KB, 4000 * KB, 3900 * KB), 3900 * KB),
    ((200_000, 150_000, 4096 * KB, 100 * KB, 100 * KB), 28 * KB),
    ((200_000, 150_000, 4096 * KB, 50 * KB, 50 * KB), 0),
]


def test_pythons_heap_leaves_wifi_its_memory(micropython, tmp_path):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler")
    tree = tmp_path / "micropython"
    for name in ("py/mpconfig.h", "ports/esp32/gccollect.c"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(micropython / name, tree / name)
    board = (boards.BOARDS / "common" / "board.h").read_text()
    (reserve,) = re.findall(r"^#define MICROPY_GC_SYSTEM_RESERVE +(\(.*\))$", board, re.MULTILINE)

    def growth(sizes, *options):
        source = (tree / "ports/esp32/gccollect.c").read_text()
        start = source.index("\n", source.index("MICROPY_GC_SPLIT_HEAP_AUTO")) + 1
        (tmp_path / "split.inc").write_text(source[start : source.rindex("#endif")])
        harness = Path(__file__).with_name("heap_harness.c")
        command = [compiler, "-w", *options, "-I", tmp_path, "-o", tmp_path / "split", harness]
        done = run(command)
        assert done.returncode == 0, done.stderr
        return int(run([tmp_path / "split", *map(str, sizes)]).stdout)

    # What the patch is for: all of it would be taken.
    assert growth((74_065, 53_572, 0, 0, 0)) == 53_572
    (patch,) = [path for path in SERIES if path.stem == "esp32-heap-reserve"]
    patches.apply(tree, patch)
    for sizes, expected in GROWTH:
        assert growth(sizes, f"-DMICROPY_GC_SYSTEM_RESERVE={reserve}") == expected, sizes
    # Without a reserve it is as it was, with PSRAM too.
    for sizes, _ in GROWTH:
        assert growth(sizes) == max(sizes[1], sizes[4])


# The handler of network.LAN's events with what it needs of ESP-IDF, and events in a row.
EVENTS = """
#include <stdint.h>
#include <stdio.h>
#define ESP_LOGI(tag, text)
typedef const char *esp_event_base_t;
static esp_event_base_t ETH_EVENT = "eth", IP_EVENT = "ip";
enum { ETHERNET_EVENT_START, ETHERNET_EVENT_STOP, ETHERNET_EVENT_CONNECTED,
    ETHERNET_EVENT_DISCONNECTED };
enum { IP_EVENT_STA_GOT_IP, IP_EVENT_STA_LOST_IP, IP_EVENT_AP_STAIPASSIGNED, IP_EVENT_GOT_IP6,
    IP_EVENT_ETH_GOT_IP };
enum { ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP };
static uint8_t eth_status;
#include "handler.inc"
int main(void) {
    eth_event_handler(0, ETH_EVENT, ETHERNET_EVENT_START, 0);
    eth_event_handler(0, ETH_EVENT, ETHERNET_EVENT_CONNECTED, 0);
    eth_event_handler(0, IP_EVENT, IP_EVENT_ETH_GOT_IP, 0);
    for (int id = IP_EVENT_STA_GOT_IP; id <= IP_EVENT_GOT_IP6; id++) {
        eth_event_handler(0, IP_EVENT, id, 0);
        printf("%s ", eth_status == ETH_GOT_IP ? "connected" : "lost");
        eth_event_handler(0, IP_EVENT, IP_EVENT_ETH_GOT_IP, 0);
    }
    eth_event_handler(0, ETH_EVENT, ETHERNET_EVENT_DISCONNECTED, 0);
    printf("%s", eth_status == ETH_DISCONNECTED ? "unplugged" : "wrong");
    return 0;
}
"""


def test_ethernet_stays_connected_whatever_wifi_does(micropython, tmp_path):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler")
    tree = tmp_path / "micropython"
    for name in ("py/mpconfig.h", "ports/esp32/network_lan.c"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(micropython / name, tree / name)
    (tmp_path / "events.c").write_text(EVENTS)

    def outcome():
        source = (tree / "ports/esp32/network_lan.c").read_text()
        start = source.index("static void eth_event_handler(")
        (tmp_path / "handler.inc").write_text(source[start : source.index("\n}\n", start) + 3])
        done = run([compiler, "-w", "-o", tmp_path / "events", tmp_path / "events.c"])
        assert done.returncode == 0, done.stderr
        return run([tmp_path / "events"]).stdout

    assert outcome() == "lost lost lost lost unplugged"
    (patch,) = [path for path in SERIES if path.stem == "esp32-lan-events"]
    patches.apply(tree, patch)
    assert outcome() == "connected connected connected connected unplugged"
