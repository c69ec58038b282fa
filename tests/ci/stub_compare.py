"""Compare type stubs with the code that they describe, by their syntax trees.

A stub has every public name of its module, and nothing that isn't there. Neither is imported:
the code runs on MicroPython only.
"""

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def public(name):
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


class Tree:
    """Python files below a folder, looked up by a module's dotted name.

    Args:
        root: the folder, a Path.
        suffix: ".py" or ".pyi".
    """

    def __init__(self, root, suffix):
        self.root = root
        self.suffix = suffix
        self._trees = {}

    def file(self, module):
        """The file of a module, None when there is none."""
        path = self.root.joinpath(*module.split("."))
        for file in (path / f"__init__{self.suffix}", path.with_suffix(self.suffix)):
            if file.is_file():
                return file
        return None

    def parse(self, module):
        """The module's `ast.Module`, None when there is none."""
        if module not in self._trees:
            file = self.file(module)
            self._trees[module] = file and ast.parse(file.read_text())
        return self._trees[module]

    def modules(self):
        """The dotted names of all modules."""
        for file in sorted(self.root.rglob(f"*{self.suffix}")):
            parts = file.relative_to(self.root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def table(self, module):
        """The loader's table of a package: (module, names) pairs; () without one."""
        for node in self.parse(module).body:
            call = getattr(node, "value", None)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "lazy.loader":
                prefix = ast.literal_eval(call.args[2]) if len(call.args) > 2 else module
                pairs = ast.literal_eval(call.args[1])
                return [(f"{prefix}.{name}", names) for name, names in pairs]
        return ()

    def imports(self, module):
        """What a module imports by `from`: local name -> (module, name there)."""
        package = module.split(".")
        if self.file(module).stem != "__init__":
            package = package[:-1]
        found = {}
        for node in self.parse(module).body:
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    found[alias.asname or alias.name] = (source, alias.name)
        return found

    def exports(self, module):
        """The public names that users take from a module.

        Its `__all__` where it has one, by a loader or as a literal; else what it defines. In a
        stub: what it defines, and what it imports as itself.
        """
        names = {name for _, names in self.table(module) for name in names}
        for node in self.parse(module).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return set(ast.literal_eval(node.value))
        if names:
            return names
        found = {name for name in self.definitions(module) if public(name) and name[:2] != "__"}
        if self.suffix == ".pyi":
            for node in self.parse(module).body:
                if isinstance(node, ast.ImportFrom):
                    found |= {a.name for a in node.names if a.asname == a.name}
        return found

    def definitions(self, module):
        """What a module defines at its top: name -> list of nodes, several for overloads."""
        return _definitions(self.parse(module).body)

    def resolve(self, module, name):
        """Follow imports and loaders to a definition.

        Returns:
            (module, nodes), or None when there is no such name.
        """
        if self.parse(module) is None:
            return None
        nodes = self.definitions(module).get(name)
        if nodes:
            return module, nodes
        if name in self.imports(module):
            return self.resolve(*self.imports(module)[name])
        for source, names in self.table(module):
            if name in names and source != module:
                return self.resolve(source, name)
        return None


def _definitions(body):
    found = {}
    for node in body:
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            found.setdefault(node.name, []).append(node)
            continue
        targets = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            elements = target.elts if isinstance(target, ast.Tuple) else [target]
            for element in elements:
                if isinstance(element, ast.Name):
                    found.setdefault(element.id, []).append(node)
    return found


def decorators(node):
    return {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}


def members(node):
    """What instances and the class have: name -> list of nodes; for an attribute, of None."""
    found = {}
    for name, nodes in _definitions(node.body).items():
        if public(name):
            found[name] = [n if isinstance(n, FUNCTIONS) else None for n in nodes]
    for alias in node.body:
        # `__await__ = __iter__` is how a MicroPython object can be awaited.
        if isinstance(alias, ast.Assign) and ast.unparse(alias) == "__await__ = __iter__":
            found["__await__"] = found.pop("__iter__")
    if found.pop("__getattr__", None):
        for name in _asked_for(node):
            found[name] = ast.parse(f"@property\ndef {name}(self): ...").body
    for method in node.body:
        if not isinstance(method, FUNCTIONS):
            continue
        for inner in ast.walk(method):
            if (
                isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and ast.unparse(inner.value) == "self"
                and public(inner.attr)
            ):
                found.setdefault(inner.attr, [None])
    return found


def _asked_for(node):
    # What a class gives by `__getattr__`: the names that this compares with its argument.
    (method,) = _definitions(node.body)["__getattr__"]
    for inner in ast.walk(method):
        if isinstance(inner, ast.Compare) and ast.unparse(inner.left) == "name":
            yield inner.comparators[0].value


def parameters(node):
    """[(name, kind, whether it has a default)]"""
    a = node.args
    positional = a.posonlyargs + a.args
    missing = len(positional) - len(a.defaults)
    kinds = ["positional only"] * len(a.posonlyargs) + ["positional"] * len(a.args)
    found = [
        (arg.arg, kind, i >= missing)
        for i, (arg, kind) in enumerate(zip(positional, kinds, strict=True))
    ]
    if a.vararg:
        found.append((a.vararg.arg, "*", False))
    for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True):
        found.append((arg.arg, "keyword", default is not None))
    if a.kwarg:
        found.append((a.kwarg.arg, "**", False))
    return found


def _compare_functions(where, code, stubs):
    kind = "property" if "property" in decorators(code) else "function"
    for stub in stubs:
        if kind != ("property" if "property" in decorators(stub) else "function"):
            yield f"{where}: one of the two is a property"
    if any(
        isinstance(code, ast.AsyncFunctionDef) != isinstance(s, ast.AsyncFunctionDef)
        for s in stubs
    ):
        yield f"{where}: async on one side only"
    expected = parameters(code)
    if len(stubs) > 1:
        # An overload may require what the code has a default for; one of them must not.
        for stub in stubs:
            if [p[:2] for p in parameters(stub)] != [p[:2] for p in expected]:
                yield f"{where}: an overload has {parameters(stub)}, the code {expected}"
                return
        actual = [
            (name, kind, any(parameters(stub)[i][2] for stub in stubs))
            for i, (name, kind, _) in enumerate(expected)
        ]
    else:
        actual = parameters(stubs[0])
    if actual != expected:
        yield f"{where}: the stub has {actual}, the code {expected}"


def _compare_classes(where, code, stub, plumbing):
    for base in {ast.unparse(b) for b in code.bases} ^ {ast.unparse(b) for b in stub.bases}:
        yield f"{where}: base {base} on one side only"
    in_code, in_stub = members(code), members(stub)
    left_out = plumbing.get(where, set())
    for name in sorted(left_out - set(in_code)):
        yield f"{where}.{name}: said to be plumbing, but isn't there"
    for name in sorted(left_out & set(in_stub)):
        yield f"{where}.{name}: said to be plumbing, but has a stub"
    for name in sorted(set(in_code) - set(in_stub) - left_out):
        yield f"{where}.{name}: no stub"
    for name in sorted(set(in_stub) - set(in_code)):
        yield f"{where}.{name}: a stub of nothing"
    for name in sorted(set(in_code) & set(in_stub)):
        (a, *_), b = in_code[name], in_stub[name]
        if (a is None) != (b[0] is None):
            yield f"{where}.{name}: an attribute on one side only"
        elif a is not None:
            yield from _compare_functions(f"{where}.{name}", a, b)


def compare(code, stubs, module, plumbing, partly=False):
    """Compare a module's stub with its code.

    Args:
        code, stubs: `Tree`s.
        module: dotted name of a module in both.
        plumbing: "module.Class" -> names of members that are public for other layers of the
            project only and have no stub.
        partly: whether the stub may leave out names of the module.

    Returns:
        The differences, a list of lines.
    """
    if code.parse(module) is None:
        return [f"{module}: a stub of nothing"]
    found = []
    in_code, in_stub = code.exports(module), stubs.exports(module)
    if not partly:
        found += [f"{module}.{name}: no stub" for name in sorted(in_code - in_stub)]
    for name in sorted(in_stub):
        where = f"{module}.{name}"
        actual, described = code.resolve(module, name), stubs.resolve(module, name)
        if described is None:
            found.append(f"{where}: the stub imports what isn't there")
        elif actual is None:
            found.append(f"{where}: a stub of nothing")
        elif described[0] == module or actual[0] == module:
            found += _compare_nodes(where, actual[1][-1], described[1], plumbing)
    return found


def _compare_nodes(where, actual, described, plumbing):
    def kind(node):
        if isinstance(node, ast.ClassDef):
            return "class"
        return "function" if isinstance(node, FUNCTIONS) else "variable"

    if kind(actual) != kind(described[0]):
        return [f"{where}: a {kind(described[0])} in the stub, a {kind(actual)} in the code"]
    if kind(actual) == "class":
        return list(_compare_classes(where, actual, described[0], plumbing))
    if kind(actual) == "function":
        return list(_compare_functions(where, actual, described))
    return []
