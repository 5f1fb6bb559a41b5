"""What every event of a delivery says of itself."""

from datetime import datetime
from typing import Any

from shared.domain.delivery import Credentials, Verdict
from shared.domain.events import ResourceChanged

Base = dict[str, Any]
"""The members of `shared.domain.events.Event`, by name."""


def envelope(
    provider: str,
    delivery_id: str,
    occurred_at: datetime,
    verdict: Verdict,
    credentials: Credentials,
    *,
    account: str | None = None,
    event_id: str | None = None,
) -> Base:
    """Of a provider whose payload does not say its mode. `account`, `event_id`: where they are not the endpoint's and the
    delivery's own."""
    return {
        "event_id": event_id or delivery_id,
        "provider": provider,
        "account": account or credentials.account,
        "occurred_at": occurred_at,
        "delivery_id": delivery_id,
        "livemode": credentials.live,
        "unsigned": verdict.unsigned,
    }


def of_poke(event: ResourceChanged, *, livemode: bool | None = None) -> Base:
    """Of what is read back for `event`: all that its deliverer proved or we chose. `livemode`: where the object says it."""
    return {
        "provider": event.provider,
        "account": event.account,
        "delivery_id": event.delivery_id,
        "livemode": event.livemode if livemode is None else livemode,
    }
