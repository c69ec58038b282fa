"""The log: lines of text or of JSON, to the program's error output or to a file that rotates."""

import json
import logging
import time
from logging.handlers import RotatingFileHandler

from relay.config import Config, ConfigError

# Files that are kept beside the one that is written.
KEPT = 5


class JsonFormatter(logging.Formatter):
    """A line is an object with time, level and message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start(config: Config) -> None:
    """Begin to log as it is configured.

    Raises:
        ConfigError: the file can't be written.
    """
    handler: logging.Handler
    if config.log_file:
        try:
            handler = RotatingFileHandler(
                config.log_file, maxBytes=config.log_size, backupCount=KEPT, encoding="utf-8"
            )
        except OSError as error:
            raise ConfigError(f"log_file {config.log_file}: {error.strerror}") from error
    else:
        handler = logging.StreamHandler()
    if config.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    logging.getLogger("websockets").setLevel(logging.WARNING)
