"""lazy: names of a package that are imported when they are first asked for."""

import os
import sys

import lazy
from helpers import refusal

# Where the packages that a test makes are found: the working directory, a temporary one.
sys.path.append(os.getcwd())

FILES = {
    "lazy_sample/__init__.py": "import lazy\n\n__getattr__ = lazy.loader(globals(), TABLE)\n",
    "lazy_sample/first.py": "A = 1\nB = 2\n",
    "lazy_sample/second.py": "from . import first\nC = first.A + 2\n",
    "lazy_sample/broken.py": "import missing_module\n",
}
TABLE = '(("first", ("A", "B")), ("second", ("C",)), ("broken", ("D",)), ("gone", ("E",)))'


def package():
    try:
        os.mkdir("lazy_sample")
    except OSError:
        pass
    for name in FILES:
        with open(name, "w") as file:
            file.write(FILES[name].replace("TABLE", TABLE))
    for name in list(sys.modules):
        if name.startswith("lazy_sample"):
            del sys.modules[name]
    return __import__("lazy_sample")


def test_a_name_imports_its_module_and_no_other():
    sample = package()
    assert "lazy_sample.first" not in sys.modules
    assert sample.B == 2 and sample.A == 1
    assert "lazy_sample.first" in sys.modules and "lazy_sample.second" not in sys.modules


def test_what_was_asked_for_once_is_there():
    sample = package()
    assert sample.A == 1
    sys.modules["lazy_sample.first"].A = 5
    assert sample.A == 1 and sample.__dict__["A"] == 1


def test_modules_are_names_too():
    sample = package()
    assert sample.second.C == 3
    from lazy_sample import first

    assert first.A == 1


def test_from_import_and_import_all():
    package()
    from lazy_sample import C

    assert C == 3
    sample = package()
    assert sample.__all__ == ("A", "B", "C", "D", "E")


def test_unknown_names_and_modules_that_fail():
    sample = package()
    assert refusal(AttributeError, getattr, sample, "F") == "F"
    assert not hasattr(sample, "F")
    assert "missing_module" in refusal(ImportError, getattr, sample, "D")
    assert "gone" in refusal(ImportError, getattr, sample, "E")
    assert sample.A == 1


def test_names_of_a_module_in_a_package():
    package()
    namespace = {"__name__": "lazy_sample.other"}
    get = lazy.loader(namespace, (("first", ("A",)),), "lazy_sample")
    assert get("A") == 1 and namespace["A"] == 1


def test_user_folders_come_last_and_once():
    path = list(sys.path)
    try:
        sys.path[:] = [".frozen", "/lib"]
        lazy.add_user_folders()
        lazy.add_user_folders()
        assert sys.path == [".frozen", "/lib", "/", "/apps"]
    finally:
        sys.path[:] = path


def test_load():
    package()
    assert lazy.load("lazy_sample.first", "B") == 2
    assert lazy.load("lazy_sample.first", None).A == 1
    refusal(AttributeError, lazy.load, "lazy_sample.first", "X")
