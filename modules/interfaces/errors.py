"""Why an interface doesn't take a text, beside ValueError. Imported with the first of them."""


class NotRunning(RuntimeError):
    """A text was sent to an interface that is stopped."""


class QueueFull(RuntimeError):
    """A text was sent while as many as are kept were waiting."""
