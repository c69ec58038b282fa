"""What the BOOT button does when it is held while the device runs: it lets back in who has the
device in hand and no password. Imported when that happens."""

import board
from transport import poller

from ..settings import storage
from ..settings.config import ADMIN, FIELDS, TOKENS, Config


def reset_access():
    """Remove the admin password, API tokens and the access point's settings, nothing else.

    Raises:
        OSError, MemoryError: it can't be done; what could be is.
    """
    config = Config()
    config.set_all({row[0]: None for row in FIELDS if row[0].startswith("ap/")})
    config.save()
    for name in (ADMIN, TOKENS):
        storage.erase(name)
    if board.chip is not None:
        from ..settings.copies import forget

        forget(board.chip.store)  # they are made anew


def released(everything):
    """Reset what a press asks for, and restart.

    Args:
        everything: all settings, else the access only.
    """
    try:
        if everything:
            Config().factory_reset()
        else:
            reset_access()
    except (OSError, MemoryError) as error:
        poller.report("the BOOT button was held, and the settings can't be reset", error)
        return
    board.reset()
