"""The ESP32 boards: board.json is the one list, and what it names is there and fits together.

The .cmake files are read by the real CMake, the fragments' options are compared with what the
files say, and the frozen modules are compiled by the mpy-cross of MicroPython's pinned release.
"""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from programs import run

import boards
import manifests
from common import ROOT, BuildError

pytest_plugins = ["esp32_fixtures"]

BOARDS = boards.read_all()
PAIRS = boards.pairs()
IDS = [f"{board.name}-{variant or 'default'}" for board, variant in PAIRS]
each_pair = pytest.mark.parametrize(("board", "variant"), PAIRS, ids=IDS)
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)

# What MicroPython's ports/esp32/CMakeLists.txt does with a board, up to where ESP-IDF takes over.
PROBE = """\
include(${MICROPY_BOARD_DIR}/mpconfigboard.cmake)
if(MICROPY_BOARD_VARIANT)
    include(${MICROPY_BOARD_DIR}/mpconfigvariant_${MICROPY_BOARD_VARIANT}.cmake)
endif()
foreach(NAME IDF_TARGET MICROPY_FROZEN_MANIFEST MICROPY_LIB_DIR MICROPY_PY_BTREE
        SDKCONFIG_DEFAULTS MICROPY_DEF_BOARD)
    message("${NAME}=${${NAME}}")
endforeach()
"""


@pytest.fixture(scope="module")
def configure(esp32_tools, tmp_path_factory):
    """A function that has CMake read a board with a variant; returns the variables it sets."""
    for name in ("build/assets/assets.py", "build/generated/build_info.py"):
        if not (ROOT / name).exists():
            pytest.skip(f"{name} is missing: run 'make source assets'")

    def read(board, variant):
        folder = tmp_path_factory.mktemp("ports") / "ports" / "esp32"
        folder.mkdir(parents=True)
        (folder / "probe.cmake").write_text(PROBE)
        command = [esp32_tools / "cmake"]
        command += [f"-DMICROPY_BOARD_DIR={board.folder}", f"-DMICROPY_BOARD_VARIANT={variant}"]
        command += ["-P", "probe.cmake"]
        done = run(command, cwd=folder)
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stderr.splitlines()), folder

    return read


def options(path):
    """The options of an sdkconfig fragment."""
    return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", path.read_text(), re.MULTILINE))


def test_there_is_a_board_for_each_chip():
    assert {board.mcu for board in BOARDS.values()} == {"esp32", "esp32s3", "esp32c3"}
    assert BOARDS["ESP32_WEBSOCK"].variants == ("", "SPIRAM", "UNICORE", "ETH", "QEMU")


@each_board
def test_board_json_lists_exactly_the_variants_that_there_are(board):
    files = {path.stem for path in board.folder.glob("mpconfigvariant*.cmake")}
    assert files == {f"mpconfigvariant_{variant}" for variant in board.variants if variant}


@each_board
def test_a_board_has_its_files(board):
    data = json.loads((board.folder / "board.json").read_text())
    for name in ("mpconfigboard.cmake", "mpconfigboard.h", "manifest.py", "board.md"):
        assert (board.folder / name).is_file()
    for name in data["deploy"]:
        assert (board.folder / name).is_file()
    # One merged image, for every chip.
    assert data["deploy_options"] == {"flash_offset": "0x0"}
    assert all(data["variants"].values())


@each_pair
def test_cmake_reads_the_board(board, variant, configure):
    found, port = configure(board, variant)
    assert found["IDF_TARGET"] in (board.mcu, "")  # the port's default is esp32
    assert found["IDF_TARGET"] or board.mcu == "esp32"
    assert found["MICROPY_FROZEN_MANIFEST"] == str(ROOT / "manifest.py")
    assert found["MICROPY_LIB_DIR"] == str(port.parents[1] / "lib")
    assert found["MICROPY_PY_BTREE"] == "OFF"

    defaults = found["SDKCONFIG_DEFAULTS"].split(";")
    assert defaults[0] == "boards/sdkconfig.base"
    for name in defaults:
        # A relative name is the port's; test_cmake_names_files_of_the_port sees to those.
        assert name.startswith("boards/") or Path(name).is_file(), name
    written = options(port / "sdkconfig.partitions")
    assert written == {
        "CONFIG_PARTITION_TABLE_CUSTOM": "y",
        "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME": f'"{boards.PARTITIONS}"',
    }
    definitions = [item for item in found["MICROPY_DEF_BOARD"].split(";") if item]
    assert len(definitions) == len({item.split("=")[0] for item in definitions})


@each_pair
def test_fragments_are_those_of_the_variant(board, variant, configure):
    found, _ = configure(board, variant)
    merged = {}
    for name in found["SDKCONFIG_DEFAULTS"].split(";"):
        if not name.startswith("boards/"):
            merged.update(options(Path(name)))
    assert merged["CONFIG_LWIP_MAX_SOCKETS"] == "16"
    assert merged["CONFIG_LWIP_MAX_ACTIVE_TCP"] == "16"
    assert merged["CONFIG_APP_REPRODUCIBLE_BUILD"] == "y"
    assert "CONFIG_FREERTOS_HZ" not in merged
    assert ("CONFIG_ETH_USE_OPENETH" in merged) == (variant == "QEMU")
    one_core = variant in ("UNICORE", "QEMU")
    assert ("CONFIG_FREERTOS_UNICORE" in merged) == one_core
    assert "boards/sdkconfig.ble" not in found["SDKCONFIG_DEFAULTS"]
    spiram = "spiram" in found["SDKCONFIG_DEFAULTS"]
    assert spiram == variant.startswith("SPIRAM")
    has_lan = "MICROPY_PY_NETWORK_LAN=1" in found["MICROPY_DEF_BOARD"]
    assert has_lan == (variant in ("ETH", "QEMU"))
    assert ("MICROPY_PY_NETWORK_WLAN=0" in found["MICROPY_DEF_BOARD"]) == (variant == "QEMU")


@each_pair
def test_the_clock_is_one_that_the_chip_is_made_for(board, variant, configure):
    found, _ = configure(board, variant)
    clocks = []
    for name in found["SDKCONFIG_DEFAULTS"].split(";"):
        if not name.startswith("boards/"):
            text = Path(name).read_text()
            clocks += re.findall(r"^CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ_(\d+)=y", text, re.MULTILINE)
    # The last one counts. The bootloader refuses more than what a chip is rated for.
    slow = board.mcu == "esp32c3" or variant in ("UNICORE", "QEMU")
    assert (clocks or ["160"])[-1] == ("160" if slow else "240")


@each_pair
def test_cmake_names_files_of_the_port(board, variant, configure, pinned_micropython):
    found, _ = configure(board, variant)
    for name in found["SDKCONFIG_DEFAULTS"].split(";"):
        if name.startswith("boards/"):
            assert (pinned_micropython / "ports/esp32" / name).is_file(), name


def test_each_fragment_says_what_it_is_for():
    for path in boards.COMMON.glob("sdkconfig.*"):
        text = path.read_text()
        assert text.startswith("# "), path.name
        assert options(path), path.name
        for line in text.splitlines():
            assert not line or re.fullmatch(r"# .*|#|CONFIG_\w+=\S+", line), line


def test_every_fragment_is_used():
    used = "".join(path.read_text() for path in boards.BOARDS.glob("*/*.cmake"))
    for path in boards.COMMON.glob("sdkconfig.*"):
        assert f"{{WEBSOCK_COMMON}}/{path.name}" in used, path.name


@each_board
def test_the_partitions_fit_the_flash(board):
    partitions = boards.read_partitions()
    boards.check_partitions(partitions, board.flash_size)
    assert [partition.name for partition in partitions] == ["nvs", "phy_init", "factory", "vfs"]
    assert not [partition for partition in partitions if partition.subtype.startswith("ota")]
    # The emulated flash has 4 MiB exactly, and nothing of it is left over.
    assert max(partition.end for partition in partitions) == 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("a, data, nvs, 0x8000, 0x1000", "starts inside"),
        ("a, app, factory, 0x10000, 0x20000\nb, data, fat, 0x20000, 4K", "partition b starts"),
        ("a, app, factory, 0x18000, 64K", "64 KiB boundary"),
        ("a, data, nvs, 0x9000, 0x1800", "whole 4 KiB blocks"),
        ("a, app, factory, 0x10000, 4M", "65536 bytes beyond the flash"),
        ("a, app, factory, , 4M", "line 1"),
        ("a, app", "line 1"),
    ],
)
def test_a_bad_partition_table_is_refused(table, reason):
    with pytest.raises(BuildError, match=reason):
        boards.check_partitions(boards.parse_partitions(table), 4 * 1024 * 1024)


def test_an_unknown_board_or_variant_is_answered_with_what_there_is():
    with pytest.raises(BuildError, match="there are ESP32_C3_WEBSOCK, ESP32_S3_WEBSOCK, ESP32_W"):
        boards.find("ESP8266")
    with pytest.raises(BuildError, match="there are SPIRAM, UNICORE, ETH, QEMU"):
        boards.find("ESP32_WEBSOCK", "OTA")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ('{"mcu": "esp32", "product": "", "flash_mib": 4}', "no 'variants'"),
        ('{"mcu": "esp8266", "product": "", "flash_mib": 4, "variants": {}}', "not one of esp32"),
    ],
)
def test_a_bad_board_json_is_named(tmp_path, text, reason):
    folder = tmp_path / "B"
    folder.mkdir()
    (folder / "board.json").write_text(text)
    with pytest.raises(BuildError, match=f"B/board.json: .*{reason}"):
        boards.read_all(tmp_path)


@each_board
def test_the_manifest_resolves_and_compiles(board, micropython, tmp_path):
    frozen = manifests.compile_frozen(board, micropython, tmp_path)
    names = {module.name for module in frozen}
    assert {"main.py", "board.py", "_boot.py", "flashbdev.py", "asyncio/core.py"} <= names
    assert {"assets.py", "build_info.py", "device/device.py"} <= names
    assert not names & {"espnow.py", "apa106.py", "inisetup.py", "websock.py", "network.py"}
    assert len(names) == len(frozen), "two files would be frozen under one name"
    for module in frozen:
        assert module.size > 0


def test_code_that_mpy_cross_refuses_names_the_file(tmp_path):
    source = tmp_path / "bad.py"
    source.write_text("def broken(:\n")
    with pytest.raises(BuildError, match=r"bad\.py.*SyntaxError"):
        manifests.compile_module(source, "bad.py", 0, "xtensawin", tmp_path / "bad.mpy")


def test_what_the_boards_share_on_the_emulated_chip():
    path = {"PYTHONPATH": str(boards.COMMON / "modules"), "PYTHONDONTWRITEBYTECODE": "1"}
    program = Path(__file__).with_name("board_of_chips.py")
    done = run([sys.executable, program], env={**os.environ, **path})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "websock-030405\n"


def test_connections_leave_sockets_for_the_device_itself():
    fragment = options(boards.COMMON / "sdkconfig.product")
    text = (boards.COMMON / "modules" / "board.py").read_text()
    connections = int(re.search(r"^CONNECTIONS = (\d+)$", text, re.MULTILINE)[1])
    # Two listeners, the phone home, the portal's DNS, one to turn a client away with.
    assert connections + 5 == int(fragment["CONFIG_LWIP_MAX_SOCKETS"])


# _boot.py with stand-ins for what only a chip has; prints what happens.
BOOT = """
import sys, types, runpy
class WLAN:
    def __init__(self, interface):
        print("WLAN", interface)
        {failure}
modules = dict(
    machine=dict(reset=lambda: print("reset")),
    board={{}},
    network={network},
    flashbdev=dict(bdev="flash"),
    nvs_store=dict(store="nvs"),
    device={{}},
)
modules["device.settings"] = dict(copies=types.SimpleNamespace(
    mount=lambda *arguments: {mount}))
for name, values in modules.items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__dict__.update(values)
path = sys.path
runpy.run_path({boot!r})
print(sys.path)
"""


@pytest.mark.parametrize(
    ("network", "failure", "lines"),
    [
        ("dict(WLAN=WLAN, STA_IF=0)", "", ["WLAN 0"]),
        (
            "dict(WLAN=WLAN, STA_IF=0)",
            "raise OSError('no memory')",
            ["WLAN 0", "Wi-Fi: no memory"],
        ),
        ("{}", "", []),
    ],
    ids=["Wi-Fi", "Wi-Fi that fails", "no Wi-Fi"],
)
def test_wifi_has_its_memory_before_limits_are_made_of_the_rest(network, failure, lines):
    boot = str(boards.COMMON / "modules" / "_boot.py")
    mount = "print('mount', *arguments[:2])"
    program = BOOT.format(network=network, failure=failure, boot=boot, mount=mount)
    done = run([sys.executable, "-c", program])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["mount flash nvs", *lines, "['.frozen']"]


def test_a_start_without_memory_for_the_filesystem_is_another_start():
    boot = str(boards.COMMON / "modules" / "_boot.py")
    program = BOOT.format(network="{}", failure="", boot=boot, mount="bytes(1 << 62)")
    done = run([sys.executable, "-c", program])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["reset", "['.frozen']"]
