"""Facts for people and machines: one structured log line per event name, from which metrics are counted.

The event name is the metric's key (`jsonPayload.event` in Cloud Logging), the fields are its labels and values.
`shared.runtime.logs` decides how the line looks and masks whatever resembles a card number or an e-mail address.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_log = logging.getLogger("payin")

Field = str | int | float | bool | None
Heard = Callable[[int, str, Mapping[str, Field]], None]
"""A level of `logging`, the event's name, its fields."""

_instead: ContextVar[Heard | None] = ContextVar("instead", default=None)


@contextmanager
def told_instead(hear: Heard) -> Iterator[None]:
    """What is told meanwhile, in this thread, `hear` hears and no log: of what is only tried, nobody is to be woken."""
    token = _instead.set(hear)
    try:
        yield
    finally:
        _instead.reset(token)


def fact(event: str, **fields: Field) -> None:
    """Something ordinary happened. `event` is a stable snake_case token, one per line of code."""
    if hear := _instead.get():
        hear(logging.INFO, event, fields)
    else:
        _log.info(event, extra={"fields": fields})


def alarm(event: str, **fields: Field) -> None:
    """A person must look: same form as `fact`, at severity ERROR, which the alert policies watch."""
    if hear := _instead.get():
        hear(logging.ERROR, event, fields)
    else:
        _log.error(event, extra={"fields": fields})


def failure(event: str, error: BaseException, **fields: Field) -> None:
    """An unexpected exception, with its traceback: the one place where a stack reaches the log."""
    if hear := _instead.get():
        hear(logging.ERROR, event, fields)
    else:
        _log.error(event, extra={"fields": fields}, exc_info=error)
