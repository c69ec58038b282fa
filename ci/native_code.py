"""Read the machine code of native and viper functions as the chip will, without the chip.

The assemblers in MicroPython write some numbers into an instruction without looking whether it has
the bits for them: what doesn't fit is cut off in silence, and the chip jumps or reads elsewhere.
Nothing on a computer notices, so this disassembles what mpy-cross made (with Ghidra's description
of the chip, by `pypcode`) and follows every address in it. On Xtensa the numbers that nobody looks
at are the distance to an exception handler (`movi`, 12 bits) and the locals' place on the stack
(`l32i`, 8 bits of words); everywhere, an address has to be that of an instruction.

``native_code.py TREE ARCHITECTURE FILE.mpy...`` prints what `Reading` holds as JSON, a line each.
It runs in the environment of ci/esp32.txt; `read` does that.
"""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import manifests
from common import BuildError

LANGUAGES = {"xtensawin": "Xtensa:LE:32:default", "rv32imc": "RISCV:LE:32:RV32IMC"}

# Bytes to a handler that Xtensa's `movi` holds: 12 bits, signed.
REACH = 2047

# Xtensa's `l32i` holds a word's index in 8 bits; below the locals are 32 bytes for the windows.
MAX_FRAME = 32 + 256 * 4

# Before a native function's first instruction is the number of its prelude.
_WORD = 4


@dataclasses.dataclass
class Reading:
    """What one function's machine code says.

    Attributes:
        function: its name, with its module's file.
        size: bytes of its code.
        addresses: how many addresses in it were followed.
        farthest: bytes to the farthest exception handler or point of return, 0 when there is none.
        faults: what is wrong, a text each.
    """

    function: str
    size: int
    addresses: int = 0
    farthest: int = 0
    faults: list = dataclasses.field(default_factory=list)


def read(tree, architecture, modules):
    """The Readings of all native functions of `manifests.Module`s.

    Raises:
        BuildError: the code can't be read.
    """
    command = [manifests.tool("python"), __file__, tree, architecture]
    done = subprocess.run(
        [*command, *(module.code for module in modules)], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"the machine code can't be read: {done.stderr.strip()[-500:]}")
    return [Reading(**json.loads(line)) for line in done.stdout.splitlines()]


def report(readings, architecture):
    """What there is to say about all functions, a line.

    Raises:
        BuildError: a function is wrong; the text names each.
    """
    faults = [f"{each.function}: {fault}" for each in readings for fault in each.faults]
    if faults:
        raise BuildError(
            f"machine code for {architecture} is wrong, make the function shorter:\n"
            + "\n".join(faults)
        )
    farthest = max(readings, key=lambda each: each.farthest)
    addresses = sum(each.addresses for each in readings)
    reach = f" of {REACH:,}" if architecture == "xtensawin" else ""
    return (
        f"  {len(readings)} native functions, {addresses:,} addresses right; farthest handler:\n"
        f"  {farthest.farthest:,}{reach} bytes, in {farthest.function}"
    )


def mpy_tool(tree):
    """MicroPython's mpy-tool.py as a module, ready to read .mpy files."""
    path = Path(tree) / "tools" / "mpy-tool.py"
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location("mpy_tool", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.global_qstrs = tool.GlobalQStrList()
    tool.config.native_arch = tool.MP_NATIVE_ARCH_NONE
    return tool


def functions(tree, files):
    """(name, code, first instruction's offset) of the native functions in .mpy files."""
    tool = mpy_tool(tree)

    def walk(code):
        yield code
        for child in getattr(code, "children", ()):
            yield from walk(child)

    for file in files:
        module = tool.read_mpy(file)
        for code in walk(module.raw_code):
            if not isinstance(code, tool.RawCodeNative):
                continue
            start = 0
            name = Path(module.source_file.str).as_posix()
            data = bytes(code.fun_data)
            if code.code_kind == tool.MP_CODE_NATIVE_PY:
                # Behind the code is the prelude, before it are its number and a generator's start.
                name += f" {code.simple_name.str}"
                start = 2 * _WORD if code.scope_flags & tool.MP_SCOPE_FLAG_GENERATOR else _WORD
                data = data[: code.prelude_offset]
            yield name, data, start


class Disassembly:
    """The instructions of one function, (mnemonic, operands as texts) by their addresses.

    Attributes:
        first: the address of the first one.
        constants: where Xtensa's words lie that `l32r` loads, a range.
    """

    def __init__(self, context, code, start):
        self.code = code
        self.size = len(code)
        self.first = start
        self.constants = range(0)
        self.instructions = {}
        at = start
        while at < self.size:
            # Instructions of both chips have at most 4 bytes.
            (decoded,) = context.disassemble(
                code[at : at + 8], at, max_instructions=1
            ).instructions
            operands = [part.strip() for part in decoded.body.split(",")]
            self.instructions[at] = decoded.mnem, operands
            at += decoded.length
            if decoded.mnem == "j" and decoded.addr.offset == start:
                # A function on Xtensa begins with a jump over its constants.
                constants = at + 1
                at = int(operands[0], 16)
                self.constants = range(constants, at, _WORD)
            elif decoded.mnem == "call0":
                # To the next whole word: it is there for the address that it leaves in a0.
                at = int(operands[0], 16)


def _number(text):
    # Addresses before 0, and of constants, are shown with more digits than the chip has.
    return int(text.partition("(")[0], 16) & 0xFFFFFFFF


def _signed(number):
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def examine(name, disassembly):
    """The Reading of one function."""
    reading = Reading(name, disassembly.size)
    instructions = disassembly.instructions
    addresses = list(instructions)
    for at, following in zip(addresses, [*addresses[1:], None], strict=True):
        mnemonic, operands = instructions[at]
        next_mnemonic, next_operands = instructions.get(following, ("", []))
        distance = None
        if mnemonic == "entry":
            frame = _number(operands[1])
            if frame > MAX_FRAME:
                reading.faults.append(f"its {frame} bytes on the stack are more than {MAX_FRAME}")
        elif mnemonic == "l32r":
            constant = _signed(_number(operands[1]))
            reading.addresses += 1
            if constant in disassembly.constants:
                distance = _signed(int.from_bytes(disassembly.code[constant:][:_WORD], "little"))
            else:
                reading.faults.append(f"at {at}: there is no constant at {constant}")
        elif mnemonic in ("movi", "movi.n"):
            distance = _signed(_number(operands[1]))
            if next_mnemonic == "call0":
                # Was it cut? Then another distance in the function has the same 12 bits.
                for other in (distance - 4096, distance + 4096):
                    if disassembly.first <= following + 3 + other < disassembly.size:
                        reading.faults.append(
                            f"at {at}: a distance of {distance} may have been {other}"
                        )
        elif mnemonic == "auipc":
            distance = _signed((_number(operands[1]) << 12) + _number(next_operands[-1]))
            if next_mnemonic == "addi":
                reading.farthest = max(reading.farthest, abs(distance))
            _follow(reading, disassembly, at, at + distance)
        elif _jumps(mnemonic, operands):
            _follow(reading, disassembly, at, _number(operands[-1]))
        if next_mnemonic == "call0" and distance is not None:
            # a0 becomes the address behind `call0`, to which the distance is added.
            reading.farthest = max(reading.farthest, abs(distance))
            _follow(reading, disassembly, at, following + 3 + distance)
    return reading


def _jumps(mnemonic, operands):
    name = mnemonic.removeprefix("c.")
    return name in ("j", "jal") or (name[0] == "b" and operands[-1].startswith(("0x", "-0x")))


def _follow(reading, disassembly, at, to):
    """Note an address, which has to be that of an instruction."""
    reading.addresses += 1
    if _signed(to) not in disassembly.instructions:
        reading.faults.append(f"at {at}: there is no instruction at {_signed(to)}")


def step():
    import pypcode

    tree, architecture, *files = sys.argv[1:]
    context = pypcode.Context(LANGUAGES[architecture])
    for name, code, start in functions(tree, files):
        disassembly = Disassembly(context, code, start)
        print(json.dumps(dataclasses.asdict(examine(name, disassembly))))


if __name__ == "__main__":
    step()
