"""What can run on the device: each app is a module or package with `app_main(config)`.

`demo` (the device itself) and `echoserver` are frozen. A user's app is on the filesystem, as
`/<name>.py`, `/<name>/__init__.py`, `/<name>/main.py`, or any of these in `/apps`.
"""

from device.settings.config import is_app_name
from lazy import add_user_folders

_FROZEN = ("demo", "echoserver")


class AppError(Exception):
    """An app that can't be loaded."""


def load(name):
    """Find an app.

    Args:
        name: of a frozen app, or of a user's.

    Returns:
        Its `app_main`, called with the `device.settings.config.Config`; it returns when the app
        has ended, or is a coroutine function.

    Raises:
        AppError: the name can't be one, or the module has no app_main.
        Exception: whatever importing the module raises.
    """
    if not is_app_name(name):
        raise AppError(f"app {name!r}: a name has letters, digits and _ only")
    if name in _FROZEN:
        return __import__("apps." + name, None, None, ("app_main",)).app_main
    add_user_folders()
    app_main = getattr(__import__(name), "app_main", None)
    if app_main is None:
        main = name + ".main"
        try:
            app_main = getattr(__import__(main, None, None, ("app_main",)), "app_main", None)
        except ImportError as error:
            if main not in str(error):
                raise  # something that the app imports is missing
    if app_main is None:
        raise AppError(f"app {name} has no app_main")
    return app_main
