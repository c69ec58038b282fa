"""Imports that wait until they are needed, and when they look into the filesystem.

A frozen module's code is in flash, but its functions, classes and globals become objects in RAM
when it is imported: what a device never uses costs it nothing this way.
"""

import gc
import sys

# Where a user's modules and packages are.
USER_FOLDERS = ("/", "/apps", "/lib")


def add_user_folders():
    """Let imports find what is on the filesystem, after what is frozen.

    Not from the start: a built-in module such as `json` may be overridden there, so that each
    import of one looks through all these folders, which takes a chip some milliseconds.
    """
    for folder in USER_FOLDERS:
        if folder not in sys.path:
            sys.path.append(folder)


def load(path, name):
    """`name` of the module at `path`, or the module itself when `name` is None.

    Importing a module leaves much garbage between objects that stay for ever; collected before,
    there are fewer holes that are too small for anything else.
    """
    if path not in sys.modules:
        gc.collect()
    # With names to take from it, __import__ gives the module and not its package.
    module = __import__(path, None, None, (name,))
    return module if name is None else getattr(module, name)


def unload(path):
    """Let go of a module that nothing refers to: its memory is free again."""
    if path in sys.modules:
        package, _, name = path.rpartition(".")
        del sys.modules[path]
        if package in sys.modules:
            delattr(sys.modules[package], name)


def loader(namespace, table, package=None):
    """Make the `__getattr__` of a package, or of a module in one.

    Args:
        namespace: its globals().
        table: (module, names) pairs: the package's modules, and what it takes from each. These
            names are its `__all__`.
        package: the package's name, where it isn't the namespace's own.
    """
    prefix = (package or namespace["__name__"]) + "."
    namespace["__all__"] = tuple([name for _, names in table for name in names])

    def get(name):
        for module, names in table:
            if name == module or name in names:
                value = load(prefix + module, None if name == module else name)
                namespace[name] = value
                return value
        raise AttributeError(name)

    return get
