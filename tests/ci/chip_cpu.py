"""A chip's processor, by Ghidra's description of its instructions: runs machine code in memory.

`pypcode` translates each instruction into a few simple operations (p-code); this carries them out.
Of Xtensa's windowed registers it knows what a compiled function shows: `entry` makes room on the
stack, `callx8` has its arguments in a10 to a15 and its result in a10, `retw` ends the function.
"""

import pypcode

from native_code import LANGUAGES

# Where a call into the runtime leads, and where a function returns to.
RUNTIME = 0x7000_0000
RETURN = 0x7FFF_FFF0

_MASK = 0xFFFF_FFFF


def signed(value, size=4):
    bits = 8 * size
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _shifted(left):
    def shift(a, b, size):
        return (a << b if left else a >> b) if b < 8 * size else 0

    return shift


# Name of an operation on unsigned numbers -> function of them and their size in bytes.
_OPERATIONS = {
    "COPY": lambda a, size: a,
    "INT_ZEXT": lambda a, size: a,
    "INT_SEXT": lambda a, size: signed(a, size),
    "INT_2COMP": lambda a, size: -a,
    "INT_NEGATE": lambda a, size: ~a,
    "BOOL_NEGATE": lambda a, size: not a,
    "INT_ADD": lambda a, b, size: a + b,
    "INT_SUB": lambda a, b, size: a - b,
    "INT_MULT": lambda a, b, size: a * b,
    "INT_AND": lambda a, b, size: a & b,
    "INT_OR": lambda a, b, size: a | b,
    "INT_XOR": lambda a, b, size: a ^ b,
    "BOOL_AND": lambda a, b, size: a & b,
    "BOOL_OR": lambda a, b, size: a | b,
    "BOOL_XOR": lambda a, b, size: a ^ b,
    "INT_LEFT": _shifted(True),
    "INT_RIGHT": _shifted(False),
    "INT_SRIGHT": lambda a, b, size: signed(a, size) >> min(b, 8 * size - 1),
    "INT_EQUAL": lambda a, b, size: a == b,
    "INT_NOTEQUAL": lambda a, b, size: a != b,
    "INT_LESS": lambda a, b, size: a < b,
    "INT_LESSEQUAL": lambda a, b, size: a <= b,
    "INT_SLESS": lambda a, b, size: signed(a, size) < signed(b, size),
    "INT_SLESSEQUAL": lambda a, b, size: signed(a, size) <= signed(b, size),
    "SUBPIECE": lambda a, b, size: a >> (8 * b),
}


class Memory:
    """The chip's memory, from address 0 on; little endian."""

    def __init__(self, size):
        self.data = bytearray(size)

    def read(self, address, size):
        assert 0 < address <= len(self.data) - size, f"a read at {address:#x}"
        return int.from_bytes(self.data[address : address + size], "little")

    def write(self, address, size, value):
        assert 0 < address <= len(self.data) - size, f"a write at {address:#x}"
        value &= (1 << (8 * size)) - 1
        self.data[address : address + size] = value.to_bytes(size, "little")

    def words(self, address, count):
        return [self.read(address + 4 * i, 4) for i in range(count)]


class Processor:
    """Runs functions.

    Args:
        architecture: a key of native_code.LANGUAGES.
        memory: with the code in it.
    """

    def __init__(self, architecture, memory):
        self.xtensa = architecture == "xtensawin"
        self.memory = memory
        self._context = pypcode.Context(LANGUAGES[architecture])
        self._translated = {}
        names = [f"a{n}" for n in range(10, 16)] if self.xtensa else [f"a{n}" for n in range(8)]
        registers = self._context.registers
        self.arguments = [registers[name].offset for name in names]
        self._stack = registers["a1" if self.xtensa else "sp"].offset
        self._link = registers["a0" if self.xtensa else "ra"].offset
        # A function's own arguments and result.
        own = [f"a{n}" for n in range(2, 6)] if self.xtensa else [f"a{n}" for n in range(4)]
        self._own = [registers[name].offset for name in own]
        self.instructions = 0

    def _instruction(self, address):
        if address not in self._translated:
            code = bytes(self.memory.data[address : address + 8])
            decoded = self._context.disassemble(code, address, max_instructions=1).instructions[0]
            operations = []
            for op in self._context.translate(code, address, max_instructions=1).ops:
                name = op.opcode.name
                if name != "IMARK":
                    operations.append((name, _place(op.output), [_place(v) for v in op.inputs]))
            operands = [part.strip() for part in decoded.body.split(",")]
            self._translated[address] = decoded.length, decoded.mnem, operands, operations
        return self._translated[address]

    def call(self, address, arguments, stack, runtime):
        """Call the function at `address`.

        Args:
            arguments: up to four words.
            stack: the address of its end.
            runtime: called with the registers, the number of a function of the runtime and where
                that returns to; gives its result, or a Jump to where an earlier call returned.

        Returns:
            The word that it returns.
        """
        registers = {self._stack: stack, self._link: RETURN}
        registers.update(zip(self._own, arguments, strict=False))
        while address != RETURN:
            self.instructions += 1
            length, mnemonic, operands, operations = self._instruction(address)
            behind = address + length
            if self.xtensa and mnemonic == "entry":
                registers[self._stack] -= int(operands[1], 16)
                address = behind
                continue
            if self.xtensa and mnemonic.startswith("retw"):
                break
            if self.xtensa and mnemonic == "callx8":
                target = registers[4 * int(operands[0][1:])]
            else:
                target = self._carry_out(registers, operations, behind)
            address = target
            if RUNTIME <= address < RETURN:
                # Where it comes back: behind the call, or a tail call's caller.
                back = behind if self.xtensa else registers[self._link]
                try:
                    result = runtime(registers, (address - RUNTIME) // 4, back)
                except Jump as jump:
                    registers.clear()
                    registers.update(jump.registers)
                    back, result = jump.address, jump.result
                if result is not None:
                    registers[self.arguments[0]] = result & _MASK
                address = back
        return registers[self._own[0]]

    def _carry_out(self, registers, operations, behind):
        """Carry out one instruction; returns the address of the next one."""
        memory = self.memory
        scratch = {}

        def value(place):
            space, offset, size = place
            if space == "const":
                return offset
            if space == "ram":
                return memory.read(offset, size)
            found = (registers if space == "register" else scratch).get(offset, 0)
            return found & ((1 << (8 * size)) - 1)

        at = 0
        while at < len(operations):
            name, output, inputs = operations[at]
            at += 1
            if name in ("BRANCH", "CALL"):
                space, offset, _ = inputs[0]
                if space == "const":
                    at += signed(offset) - 1
                    continue
                return offset
            if name == "CBRANCH":
                if not value(inputs[1]):
                    continue
                space, offset, _ = inputs[0]
                if space == "const":
                    at += signed(offset) - 1
                    continue
                return offset
            if name in ("BRANCHIND", "CALLIND", "RETURN"):
                return value(inputs[0])
            if name == "LOAD":
                result = memory.read(value(inputs[1]), output[2])
            elif name == "STORE":
                memory.write(value(inputs[1]), inputs[2][2], value(inputs[2]))
                continue
            else:
                result = _OPERATIONS[name](*[value(place) for place in inputs], inputs[0][2])
            space, offset, size = output
            result = int(result) & ((1 << (8 * size)) - 1)
            if space == "ram":
                memory.write(offset, size, result)
            else:
                (registers if space == "register" else scratch)[offset] = result
        return behind


class Jump(Exception):
    """Go on as an earlier call into the runtime returned, with another result."""

    def __init__(self, registers, address, result):
        self.registers, self.address, self.result = registers, address, result


def _place(varnode):
    return varnode and (varnode.space.name, varnode.offset, varnode.size)
