"""Launches the product. MicroPython runs this after _boot.py.

A frozen main.py wins over one on the filesystem; the user's way in is the setting "app".
"""

import board

try:
    from launcher import main

    main()
except Exception:  # MemoryError, and the ImportError that asyncio makes of it
    if board.chip is None:
        raise
    # Nothing else would start it again.
    board.chip.restart()
