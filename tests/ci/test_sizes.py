"""What modules and assets add to flash, measured with the real mpy-cross and mpy-tool."""

import dataclasses
import json

import pytest

import boards
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


@pytest.mark.parametrize("architecture", ["xtensawin", "rv32imc"])
def test_more_modules_take_more_flash(micropython, freeze, architecture):
    plain = sizes.total(micropython, freeze(architecture, plain=PLAIN))
    both = sizes.total(micropython, freeze(architecture, plain=PLAIN, viper=VIPER))
    assert 44 < plain < 300
    # The loop in machine code is not lost.
    assert both > plain + 150


def test_machine_code_differs_between_the_chips(micropython, freeze):
    xtensa, riscv = (
        sizes.total(micropython, freeze(architecture, viper=VIPER))
        for architecture in ("xtensawin", "rv32imc")
    )
    assert xtensa != riscv


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_board_is_within_its_budget(board, micropython, capsys):
    assert sizes.measure(board, micropython) == 0
    printed = capsys.readouterr().out
    assert board.name in printed
    for group in ("device", "httpd", "websockets", "assets", "board and port", "together"):
        assert group in printed


def test_over_the_budget_is_an_error_that_names_the_board(micropython, tmp_path, monkeypatch):
    board = BOARDS["ESP32_C3_WEBSOCK"]
    (tmp_path / "budget.json").write_text('{"frozen_bytes": 1000}')
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


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"frozen_bytes": "many"}'])
def test_a_bad_budget_is_named(tmp_path, text):
    (tmp_path / "budget.json").write_text(text)
    board = dataclasses.replace(BOARDS["ESP32_WEBSOCK"], folder=tmp_path)
    with pytest.raises(BuildError, match=r"budget\.json: needs"):
        sizes.budget(board)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_the_budget_leaves_most_of_the_apps_room_to_the_firmware(board):
    room = boards.partition("factory", boards.read_partitions()).size
    data = json.loads((board.folder / "budget.json").read_text())
    assert list(data) == ["frozen_bytes"]
    # MicroPython itself with Wi-Fi takes some 1.7 MB.
    assert data["frozen_bytes"] < room - 1_700_000
