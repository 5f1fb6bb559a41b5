"""Instants as whole numbers: what sums, comparisons and SQL agree on exactly."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Microseconds since the epoch, exactly."""
    return (instant - EPOCH) // MICROSECOND
