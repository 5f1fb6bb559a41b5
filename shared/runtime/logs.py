"""One JSON object a line, in the form that Cloud Logging reads, correlated by W3C trace context.

Card numbers, IBANs and e-mail addresses are masked in every text, also in tracebacks: the last line of defence, not the
first. Fields come from `shared.domain.telemetry`; `event` names the fact and is what log-based metrics count.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

from shared.domain.privacy import mask

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""The W3C `traceparent` of the request in hand; empty outside one."""

# Providers that never see a card, and whose own ids are plain numbers as long as a card's: their lines keep their ids.
_NUMBERS_ITS_OBJECTS = frozenset({"apple"})
_NUMBER = re.compile(r"[0-9]{1,20}(?:-[a-z]{1,16}(?:-[0-9]{4}-[0-9]{2}-[0-9]{2})?)?", flags=re.ASCII)

_SEVERITY = {logging.DEBUG: "DEBUG", logging.INFO: "INFO", logging.WARNING: "WARNING", logging.ERROR: "ERROR"}


class CloudLogging(logging.Formatter):
    """https://cloud.google.com/logging/docs/structured-logging: `severity`, `time`, `message`, trace and our fields."""

    def __init__(self, function: str, project: str, now: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self._function = function
        self._project = project
        self._now = now

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "severity": _SEVERITY.get(record.levelno, "CRITICAL"),
            "time": (self._now() if self._now else datetime.fromtimestamp(record.created, UTC)).isoformat(),
            "event": record.getMessage(),
            "message": record.getMessage(),
            "function": self._function,
        }
        trace = traceparent.get().split("-")
        if len(trace) == 4:
            line["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace[1]}"
            line["logging.googleapis.com/spanId"] = trace[2]
        fields: Mapping[str, object] = getattr(record, "fields", {})
        numbered = fields.get("provider") in _NUMBERS_ITS_OBJECTS
        for name, value in fields.items():
            is_id = numbered and name.endswith("_id") and isinstance(value, str) and _NUMBER.fullmatch(value)
            line[name] = value if is_id else _masked(value)
        if record.exc_info:
            # Error Reporting groups by a stack trace in `message`.
            line["message"] = mask(f"{record.getMessage()}\n{self.formatException(record.exc_info)}")
        return msgspec.json.encode(line).decode()


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    # A number that has to be masked is a text then; every other stays what metrics can add up.
    return text if type(value) is int and (text := mask(str(value))) != str(value) else value


class _StandardOutput(logging.Handler):
    """Whatever standard output is now: a process manager or a test may have replaced it since import."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            # A log that cannot be written must not fail a payment; logging's own last resort says it on stderr.
            self.handleError(record)


def configure(function: str, project: str, now: Callable[[], datetime] | None = None) -> None:
    """Send the facts of this instance to standard output, once. now: the clock of whoever does not live in the machine's time."""
    log = logging.getLogger("payin")
    handler = _StandardOutput()
    handler.setFormatter(CloudLogging(function, project, now))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
