"""What systems outside of Google Cloud are told: to whom it goes, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.errors import Rejected


class NotificationUnknown(Rejected):
    """Nothing of this name was ever sent, or it is forgotten. Answered 404."""

    reason = "unknown_notification"
    status = 404


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody's address. keys: key id → secret (`whsec_...`, Standard Webhooks); each of them signs, so that one can be
    changed without a gap."""

    name: str
    url: str
    keys: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing told to one endpoint. body: exactly what is sent, each time. status: of the endpoint's last answer, 0 where
    none came. delivered_at: when it was first taken; None: not yet. resent_by: who had it sent again."""

    endpoint: str
    notification_id: str
    kind: str
    body: str
    tried_at: datetime
    tries: int
    status: int
    delivered_at: datetime | None = None
    resent_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """disabled_at: when `url` said that nobody listens there any more; None: it did not. enabled_by: who said otherwise."""

    url: str = ""
    disabled_at: datetime | None = None
    enabled_by: str | None = None
