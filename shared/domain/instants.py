"""Instants as whole numbers: what sums, comparisons and SQL agree on exactly."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (instant - EPOCH) // MICROSECOND


def plausible(instant: datetime) -> bool:
    """Whether `instant`, an aware one, may be meant: it is of this century, so that days may be counted from it on both sides."""
    return _EARLIEST <= instant < _LATEST


_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
