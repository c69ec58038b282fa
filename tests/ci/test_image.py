"""Images: merged by the real esptool, their parts' room, and what is counted in them."""

import pytest
from trees import write_files

import environment
import image
from common import ROOT, BuildError

MAP = """\
Discarded input sections

 .rodata.unused 0x0000000000000000      0x999 esp-idf/main/libmain.a(frozen_content.c.obj)

Linker script and memory map

 .rodata.mp_frozen_names
                0x000000003f401000      0x100 esp-idf/main/libmain.a(frozen_content.c.obj)
 .text.one      0x00000000400d2000       0x20 esp-idf/main/libmain.a(frozen_content.c.obj)
 .text.two      0x00000000400d3000       0x77 esp-idf/main/libmain.a(main.c.obj)
.iram0.vectors  0x0000000040080000      0x403
.iram0.text     0x0000000040080404    0x10000
.dram0.data     0x000000003ffb0000      0x200
.dram0.bss
                0x000000003ffb0200      0x100
.flash.text     0x00000000400d0020    0x90000
 .debug_info    0x000000000024a940     0x4444 esp-idf/main/libmain.a(frozen_content.c.obj)
"""


@pytest.fixture(scope="module")
def python():
    try:
        return environment.ensure(image.ENVIRONMENT, image.REQUIREMENTS)
    except BuildError as error:
        pytest.skip(f"the packages of ci/esp32.txt can't be had: {error}")


def part(folder, name, offset, size, room):
    write_files(folder, {name: name[:1] * size})
    return image.Part(name, offset, folder / name, room)


def test_parts_are_merged_at_their_offsets(tmp_path, python):
    parts = [part(tmp_path, "app", 0x3000, 5, 100), part(tmp_path, "boot", 0x1000, 4, 8)]
    merged = image.merge(parts, "esp32", tmp_path / "image.bin", python)
    assert merged == (b"\xff" * 0x1000 + b"bbbb").ljust(0x3000, b"\xff") + b"aaaaa"


def test_parts_that_overlap_are_refused_by_name(tmp_path, python):
    parts = [part(tmp_path, "app", 10, 4, 100), part(tmp_path, "boot", 8, 4, 8)]
    with pytest.raises(BuildError, match="esptool made no image") as error:
        image.merge(parts, "esp32", tmp_path / "image.bin", python)
    assert "overlap" in str(error.value)


def test_a_part_that_is_too_large_is_an_error_with_the_bytes_over(tmp_path):
    image.check_rooms([part(tmp_path, "app", 0, 100, 100)])
    with pytest.raises(BuildError, match="the app is 7 bytes too large for its 100"):
        image.check_rooms([part(tmp_path, "app", 0, 107, 100)])


def test_frozen_modules_and_memory_are_counted_from_the_map():
    assert image.frozen_size(MAP) == 0x120
    assert image.static_memory(MAP) == (0x300, 0x10403)
    assert image.static_memory("") == (0, 0)


def test_the_linked_modules_are_held_to_the_budget_and_the_prediction():
    for predicted in (None, 9_800, 10_000, 10_200):
        image.check_frozen("some", 10_000, predicted, 10_000)
    for predicted in (9_799, 10_201):
        with pytest.raises(BuildError, match=f"10,000 bytes where make sizes says {predicted:,}"):
            image.check_frozen("some", 10_000, predicted, 10_000)
    with pytest.raises(BuildError, match="some: the frozen modules are 1 bytes over 9,999"):
        image.check_frozen("some", 10_000, 10_000, 9_999)


def test_the_history_has_the_columns_of_its_document(tmp_path):
    parts = [part(tmp_path, "app", 0, 1234, 2000)]
    row = image.history_row("some", "v1", parts, 1000, (20, 30))
    assert row == "| some | v1 | 1,234 | 1,000 | 20 | 30 |"
    document = (ROOT / "docs" / "sizes.md").read_text()
    tables = [line for line in document.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {row.count("|")}
