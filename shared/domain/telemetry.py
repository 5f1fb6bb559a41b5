"""Facts for people and machines: one structured log line per event name, from which metrics are counted.

The event name is the metric's key (`jsonPayload.event` in Cloud Logging), the fields are its labels and values.
`shared.runtime.logs` decides how the line looks and masks whatever resembles a card number or an e-mail address.
"""

import logging

_log = logging.getLogger("payin")

Field = str | int | float | bool | None


def fact(event: str, **fields: Field) -> None:
    """Something ordinary happened. `event` is a stable snake_case token, one per line of code."""
    _log.info(event, extra={"fields": fields})


def alarm(event: str, **fields: Field) -> None:
    """A person must look: same form as `fact`, at severity ERROR, which the alert policies watch."""
    _log.error(event, extra={"fields": fields})


def failure(event: str, error: BaseException, **fields: Field) -> None:
    """An unexpected exception, with its traceback: the one place where a stack reaches the log."""
    _log.error(event, extra={"fields": fields}, exc_info=error)
