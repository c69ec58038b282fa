"""What modules and assets add to flash, measured with the real mpy-cross and mpy-tool."""

import dataclasses
import json

import pytest

import boards
import build_host
import frozen_object
import manifests
import sizes
from common import BuildError

pytest_plugins = ["esp32_fixtures"]

BOARDS = boards.read_all()
PLAIN = "VALUE = 'a text of more than twenty-five characters'\n"
VIPER = """\
import micropython


@micropython.viper
def mask(data, size: int):
    pointer = ptr8(data)
    for i in range(size):
        pointer[i] ^= 0x55
"""


@pytest.fixture
def freeze(tmp_path):
    """A function that compiles modules, name -> text, for an architecture."""

    def compile_all(architecture, **texts):
        modules = []
        for name, text in texts.items():
            source = tmp_path / f"{name}.py"
            source.write_text(text)
            code = tmp_path / architecture / f"{name}.mpy"
            manifests.compile_module(source, source.name, None, architecture, code)
            modules.append(manifests.Module(source.name, source, code))
        return modules

    return compile_all


@pytest.fixture(scope="module")
def host32():
    """The 32-bit host image, whose headers the object is made with."""
    if not (build_host.object_folder(frozen_object.TARGET) / "genhdr").is_dir():
        pytest.skip('run "make host32" first')


@pytest.mark.parametrize("architecture", ["xtensawin", "rv32imc"])
def test_more_modules_take_more_flash(host32, freeze, architecture):
    plain = frozen_object.size(freeze(architecture, plain=PLAIN))
    both = frozen_object.size(freeze(architecture, plain=PLAIN, viper=VIPER))
    assert 44 < plain < 400
    # The loop in machine code is not lost.
    assert both > plain + 150


def test_machine_code_differs_between_the_chips(host32, freeze):
    xtensa, riscv = (
        frozen_object.size(freeze(architecture, viper=VIPER))
        for architecture in ("xtensawin", "rv32imc")
    )
    assert xtensa != riscv


def test_large_and_small_constants_count_as_they_are(host32, freeze):
    texts = [f"VALUE = {'x' * count!r}\n" for count in (100, 100_100)]
    small, large = (frozen_object.size(freeze("xtensawin", text=text)) for text in texts)
    assert 100_000 <= large - small <= 100_010


def test_without_the_headers_it_says_what_to_do(freeze, tmp_path, monkeypatch):
    monkeypatch.setattr(build_host, "TREE", tmp_path)
    monkeypatch.setattr(build_host, "object_folder", lambda target: tmp_path)
    with pytest.raises(BuildError, match='measured after "make host32"'):
        frozen_object.size(freeze("xtensawin", plain=PLAIN))


def test_what_the_compiler_says_is_shown(host32, freeze, monkeypatch):
    monkeypatch.setattr(frozen_object.build_host, "check_32_bit", lambda cc: None)
    monkeypatch.setattr(frozen_object.build_host, "compiler", lambda: "gcc -fno-such-option")
    with pytest.raises(BuildError, match=r"gcc failed: .*fno-such-option"):
        frozen_object.size(freeze("xtensawin", plain=PLAIN))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_board_is_within_its_budget(board, micropython, host32, capsys):
    assert sizes.measure(board, micropython) == 0
    printed = capsys.readouterr().out
    assert board.name in printed
    for group in ("device", "httpd", "websockets", "assets", "board and port", "linked"):
        assert group in printed


def test_over_the_budget_is_an_error_that_names_the_board(
    micropython, host32, tmp_path, monkeypatch
):
    board = BOARDS["ESP32_C3_WEBSOCK"]
    (tmp_path / "budget.json").write_text('{"linked_frozen_bytes": 1000}')
    (tmp_path / "manifest.py").write_text("")
    small = dataclasses.replace(board, folder=tmp_path)
    over = sizes.measure(small, micropython)
    assert over > 50_000
    monkeypatch.setattr(boards, "read_all", lambda: {board.name: small})
    monkeypatch.setattr(sizes.sources, "recorded", lambda: None)
    (tmp_path / "micropython").symlink_to(micropython)
    monkeypatch.setattr(sizes.sources, "SOURCE", tmp_path)
    with pytest.raises(BuildError, match=f"over the budget: {board.name} by {over:,} bytes"):
        sizes.step()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"linked_frozen_bytes": "many"}'])
def test_a_bad_budget_is_named(tmp_path, text):
    (tmp_path / "budget.json").write_text(text)
    board = dataclasses.replace(BOARDS["ESP32_WEBSOCK"], folder=tmp_path)
    with pytest.raises(BuildError, match=r"budget\.json: needs"):
        sizes.budget(board)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_the_budget_leaves_most_of_the_apps_room_to_the_firmware(board):
    room = boards.partition("factory", boards.read_partitions()).size
    data = json.loads((board.folder / "budget.json").read_text())
    assert list(data) == ["linked_frozen_bytes"]
    # MicroPython itself with Wi-Fi takes some 1.7 MB.
    assert data["linked_frozen_bytes"] < room - 1_700_000
