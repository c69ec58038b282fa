"""MicroPython's runtime for machine code of its functions, on CPython's objects.

What a native or viper function calls (mp_fun_table of py/nativeglue.h) is done here by this
Python, so that frozen code can be run on a described processor (chip_cpu) and compared with what
its source does.
"""

import builtins
import operator
import re

from chip_cpu import RUNTIME, Jump, Memory, Processor, signed

NULL, SENTINEL = 0, 4

# Where what lies in memory.
_SIZE = 0x80_0000
_TABLE, _CODE, _DATA, _STACK = 0x1000, 0x1_0000, 0x20_0000, 0x70_0000
_STACK_SIZE = 0x1_0000
_OBJECTS = 0x4000_0000

_UNARY = (operator.pos, operator.neg, operator.invert, operator.not_, bool, len)
_COMPARE = (
    *(operator.lt, operator.gt, operator.eq, operator.le, operator.ge, operator.ne),
    *(lambda a, b: a in b, lambda a, b: a is b),
    lambda a, b: issubclass(a if isinstance(a, type) else type(a), b),
)
_INPLACE = (
    *(operator.ior, operator.ixor, operator.iand, operator.ilshift, operator.irshift),
    *(operator.iadd, operator.isub, operator.imul, operator.imatmul, operator.ifloordiv),
    *(operator.itruediv, operator.imod, operator.ipow),
)
_ARITHMETIC = (
    *(operator.or_, operator.xor, operator.and_, operator.lshift, operator.rshift),
    *(operator.add, operator.sub, operator.mul, operator.matmul, operator.floordiv),
    *(operator.truediv, operator.mod, operator.pow),
)
_BINARY = (*_COMPARE, *_INPLACE, *_ARITHMETIC)

_NONE_TO_PTR = ("object", "bool", "int", "uint", "ptr", "ptr8", "ptr16", "ptr32")


def function_names(header):
    """The names of mp_fun_table's entries, in order, from the text of py/nativeglue.h."""
    names = re.findall(r"^    MP_F_(\w+)", header, re.MULTILINE)
    return [name.lower() for name in names[: names.index("NUMBER_OF")]]


class Chip:
    """A processor with functions in its memory.

    Args:
        architecture: mpy-cross's name of it.
        names: of `function_names`.
    """

    def __init__(self, architecture, names):
        self.memory = Memory(_SIZE)
        self.processor = Processor(architecture, self.memory)
        self._names = names
        self._objects, self._handles = [], {}
        self._qstrs = ["", *()]
        self._code, self._data = _CODE, _DATA
        self._depth = 0
        self._within = {}  # what loads a function within another, by the word that stands for it
        self._raised = {}  # where a function's own `raise` were: addresses, by its code's identity
        for number, name in enumerate(names):
            known = {"const_none_obj": None, "const_false_obj": False, "const_true_obj": True}
            word = self.handle(known[name]) if name in known else RUNTIME + 4 * number
            self.memory.write(_TABLE + 4 * number, 4, word)

    # Objects as words

    def handle(self, value):
        """The word that stands for an object."""
        if type(value) is int and -(1 << 30) <= value < 1 << 30:
            return (value << 1 | 1) & 0xFFFF_FFFF
        if id(value) not in self._handles:
            self._objects.append(value)
            self._handles[id(value)] = _OBJECTS + 16 * len(self._objects)
        return self._handles[id(value)]

    def value(self, word):
        if word & 1:
            return signed(word) >> 1
        if word & 7 == 2:
            return self._qstrs[word >> 3]
        assert word > _OBJECTS and word % 16 == 0, f"no object: {word:#x}"
        return self._objects[(word - _OBJECTS) // 16 - 1]

    def _forget(self, known):
        # What a call has made or seen: a memoryview keeps CPython from resizing what it is of.
        for value in self._objects[known:]:
            del self._handles[id(value)]
        del self._objects[known:]

    def _values(self, address, count):
        return [self.value(word) for word in self.memory.words(address, count)]

    def _qstr(self, text):
        if text not in self._qstrs:
            self._qstrs.append(text)
        return self._qstrs.index(text)

    def allocate(self, size, skew=0):
        """The address of `size` bytes of memory, `skew` bytes behind a whole word."""
        address = self._data = (self._data + 3) & ~3
        self._data += size + skew + 8
        return address + skew

    # Functions

    def load(self, tool, module, raw, module_globals, skew=0):
        """Put a function of an .mpy file into memory.

        Args:
            tool: mpy-tool.py, as a module.
            module: its `CompiledModule`.
            raw: a `RawCodeNative` in it.
            module_globals: the dict of the module's names.
            skew: where buffers lie that a viper function gets, behind a whole word.

        Returns:
            A function that runs it.
        """
        memory = self.memory
        code = bytes(raw.fun_data)
        address = self._code = (self._code + 15) & ~15
        memory.data[address : address + len(code)] = code
        self._code += len(code)
        qstrs = self.allocate(2 * len(module.qstr_table))
        for i, qstr in enumerate(module.qstr_table):
            memory.write(qstrs + 2 * i, 2, self._qstr(qstr.str))
        objects = self.allocate(4 * len(module.obj_table))
        for i, item in enumerate(module.obj_table):
            table = isinstance(item, tool.MPFunTable)
            memory.write(objects + 4 * i, 4, _TABLE if table else self.handle(item))
        context = self.allocate(16)
        for i, word in enumerate((0, 0, qstrs, objects)):
            memory.write(context + 4 * i, 4, word)
        function = self.allocate(16)
        within = [child for child in raw.children if isinstance(child, tool.RawCodeNative)]
        assert within == list(raw.children), "bytecode in a native function"
        children = self.allocate(4 * len(within))
        for i, child in enumerate(within):
            proto = self.allocate(4)
            memory.write(children + 4 * i, 4, proto)
            self._within[proto] = lambda child=child: self.load(
                tool, module, child, module_globals, skew
            )
        for i, word in enumerate((0, context, children, 0)):
            memory.write(function + 4 * i, 4, word)
        start = address + (4 if raw.code_kind == tool.MP_CODE_NATIVE_PY else 0)
        call = _Call(self, raw, function, start, module_globals, skew)

        def run(*arguments, **keywords):
            return call(arguments, keywords)

        run.raw = raw
        return run

    def raised_in(self, raw):
        """At how many places a function has raised an exception of its own."""
        return len(self._raised.get(id(raw), ()))

    def enter(self, call, arguments):
        """Run a function, with `arguments` as words in memory; returns its word."""
        self._depth += 1
        try:
            stack = _STACK + _STACK_SIZE * (16 - self._depth)
            return self.processor.call(
                call.start,
                (call.function, len(arguments), 0, self._array(arguments)),
                stack,
                call.runtime,
            )
        finally:
            self._depth -= 1

    def _array(self, words):
        address = self.allocate(4 * len(words))
        for i, word in enumerate(words):
            self.memory.write(address + 4 * i, 4, word)
        return address


class _Call:
    """A function in memory; called with arguments, one of its runs at a time."""

    def __init__(self, chip, raw, function, start, module_globals, skew):
        self.chip = chip
        self.raw = raw
        self.function = function
        self.start = start
        self.globals = module_globals
        self._skew = skew
        self._handlers = []
        self._buffers = []

    def __call__(self, arguments, keywords):
        assert not keywords, "the functions are called by position"
        outer = self._handlers, self._buffers
        self._handlers, self._buffers = [], []
        data, known = self.chip._data, len(self.chip._objects)
        try:
            result = self.chip.enter(self, [self.chip.handle(each) for each in arguments])
            return self.chip.value(result)
        finally:
            for buffer, address in self._buffers:
                view = memoryview(b"") if isinstance(buffer, str) else memoryview(buffer).cast("B")
                if not view.readonly:
                    view[:] = self.chip.memory.data[address : address + len(view)]
            self._handlers, self._buffers = outer
            self.chip._data = data
            if not outer[0] and self.chip._depth == 0:
                self.chip._forget(known)

    def runtime(self, registers, number, back):
        """Do what the function calls for."""
        name = self.chip._names[number]
        words = [registers.get(offset, 0) for offset in self.chip.processor.arguments]
        if name == "nlr_push":
            # It may return again, or on Xtensa the call of setjmp that follows.
            self._handlers.append((words[0], dict(registers), back))
            return 0
        if name == "setjmp":
            self._handlers[-1] = (self._handlers[-1][0], dict(registers), back)
            return 0
        if name == "nlr_pop":
            self._handlers.pop()
            return None
        if name == "native_raise" and words[0] not in (NULL, self.chip.handle(None)):
            self.chip._raised.setdefault(id(self.raw), set()).add(back)
        try:
            return getattr(self, "_" + name)(*words)
        except Exception as error:
            if not self._handlers:
                raise
            buffer, saved, address = self._handlers.pop()
            self.chip.memory.write(buffer + 4, 4, self.chip.handle(error))
            raise Jump(saved, address, 1) from error

    # The functions, named as in py/nativeglue.h; each gets the words of all argument registers.

    def _setup_code_state(self, state, count, keywords, arguments, *_):
        memory = self.chip.memory
        size = memory.read(state + 12, 2)
        for i in range(size):
            memory.write(state + 20 + 4 * i, 4, NULL)
        positional, defaults = self.raw.prelude_signature[3], self.raw.prelude_signature[5]
        assert positional - defaults <= count <= positional, "the number of arguments"
        assert count == positional, "defaults are not passed"
        for i, word in enumerate(memory.words(arguments, count)):
            memory.write(state + 20 + 4 * (size - 1 - i), 4, word)

    def _arg_check_num_sig(self, count, keywords, signature, *_):
        assert signature >> 17 <= count <= (signature >> 1 & 0xFFFF)

    def _native_swap_globals(self, *_):
        return NULL

    def _convert_obj_to_native(self, word, kind, *_):
        value = self.chip.value(word)
        if kind >= _NONE_TO_PTR.index("ptr"):
            if isinstance(value, int):
                return value
            data = value.encode() if isinstance(value, str) else bytes(memoryview(value).cast("B"))
            for buffer, address in self._buffers:
                if buffer is value:
                    return address
            address = self.chip.allocate(len(data), self._skew)
            self.chip.memory.data[address : address + len(data)] = data
            self._buffers.append((value, address))
            return address
        return word if kind == 0 else int(value)

    def _convert_native_to_obj(self, word, kind, *_):
        if kind == 0:
            return word
        if kind == _NONE_TO_PTR.index("bool"):
            return self.chip.handle(bool(word))
        return self.chip.handle(signed(word) if kind == _NONE_TO_PTR.index("int") else word)

    def _load_name(self, qstr, *_):
        return self._load_global(qstr)

    def _load_global(self, qstr, *_):
        name = self.chip._qstrs[qstr]
        found = self.globals[name] if name in self.globals else getattr(builtins, name)
        return self.chip.handle(found)

    def _store_global(self, qstr, word, *_):
        self.globals[self.chip._qstrs[qstr]] = self.chip.value(word)

    def _load_attr(self, base, qstr, *_):
        return self.chip.handle(getattr(self.chip.value(base), self.chip._qstrs[qstr]))

    def _load_method(self, base, qstr, target, *_):
        method = getattr(self.chip.value(base), self.chip._qstrs[qstr])
        self.chip.memory.write(target, 4, self.chip.handle(method))
        self.chip.memory.write(target + 4, 4, NULL)

    def _store_attr(self, base, qstr, word, *_):
        setattr(self.chip.value(base), self.chip._qstrs[qstr], self.chip.value(word))

    def _obj_subscr(self, base, index, word, *_):
        value, index = self.chip.value(base), self.chip.value(index)
        if word == SENTINEL:
            return self.chip.handle(value[index])
        if word == NULL:
            del value[index]
        else:
            value[index] = self.chip.value(word)
        return self.chip.handle(None)

    def _obj_is_true(self, word, *_):
        return int(bool(self.chip.value(word)))

    def _unary_op(self, op, word, *_):
        return self.chip.handle(_UNARY[op](self.chip.value(word)))

    def _binary_op(self, op, left, right, *_):
        return self.chip.handle(_BINARY[op](self.chip.value(left), self.chip.value(right)))

    def _build_tuple(self, count, items, *_):
        return self.chip.handle(tuple(self.chip._values(items, count)))

    def _build_list(self, count, items, *_):
        return self.chip.handle(self.chip._values(items, count))

    def _build_map(self, *_):
        return self.chip.handle({})

    def _store_map(self, base, key, word, *_):
        self.chip.value(base)[self.chip.value(key)] = self.chip.value(word)
        return base

    def _list_append(self, base, word, *_):
        self.chip.value(base).append(self.chip.value(word))
        return self.chip.handle(None)

    def _new_slice(self, start, stop, step, *_):
        parts = [None if word == NULL else self.chip.value(word) for word in (start, stop, step)]
        return self.chip.handle(slice(*parts))

    def _unpack_sequence(self, word, count, items, *_):
        values = list(self.chip.value(word))
        if len(values) != count:
            raise ValueError("wrong number of values to unpack")
        for i, value in enumerate(values):
            self.chip.memory.write(items + 4 * (count - 1 - i), 4, self.chip.handle(value))

    def _make_function_from_proto_fun(self, proto, *_):
        return self.chip.handle(self.chip._within[proto]())

    def _native_call_function_n_kw(self, function, counts, arguments, *_):
        return self._called(self.chip.value(function), counts & 255, counts >> 8 & 255, arguments)

    def _call_method_n_kw(self, count, keywords, arguments, *_):
        method, own = self.chip.memory.words(arguments, 2)
        assert own == NULL
        return self._called(self.chip.value(method), count, keywords, arguments + 8)

    def _call_method_n_kw_var(self, have_self, counts, arguments, *_):
        # Behind the arguments is the number that says which of them have a star.
        words = self.chip.memory.words(arguments, 2 if have_self else 1)
        function = self.chip.value(words[0])
        at = arguments + 4 * len(words)
        count = counts & 255
        values = self.chip.memory.words(at, count + 1)
        stars = self.chip.value(values.pop())
        made = []
        for i, word in enumerate(values):
            if stars >> i & 1:
                made += self.chip.value(word)
            else:
                made.append(self.chip.value(word))
        return self.chip.handle(function(*made))

    def _called(self, function, count, keywords, arguments):
        values = self.chip._values(arguments, count + 2 * keywords)
        names = dict(zip(values[count::2], values[count + 1 :: 2], strict=True))
        return self.chip.handle(function(*values[:count], **names))

    def _native_getiter(self, word, buffer, *_):
        iterator = self.chip.handle(iter(self.chip.value(word)))
        if buffer == NULL:
            return iterator
        self.chip.memory.write(buffer, 4, NULL)
        self.chip.memory.write(buffer + 4, 4, iterator)
        return NULL

    def _native_iternext(self, buffer, *_):
        iterator = self.chip.value(self.chip.memory.read(buffer + 4, 4))
        for value in iterator:
            return self.chip.handle(value)
        return NULL

    def _native_raise(self, word, *_):
        if word not in (NULL, self.chip.handle(None)):
            raise self.chip.value(word)

    def _import_name(self, qstr, names, level, *_):
        found = None if names == NULL else self.chip.value(names)
        module = __import__(
            self.chip._qstrs[qstr], self.globals, None, found, self.chip.value(level)
        )
        return self.chip.handle(module)

    def _import_from(self, module, qstr, *_):
        return self.chip.handle(getattr(self.chip.value(module), self.chip._qstrs[qstr]))

    def _small_int_floor_divide(self, a, b, *_):
        return signed(a) // signed(b)

    def _small_int_modulo(self, a, b, *_):
        return signed(a) % signed(b)
