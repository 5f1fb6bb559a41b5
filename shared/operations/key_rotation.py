"""A provider's key is changed without a gap: the new one beside the old, watched by key id, the old one taken out when nothing
is proved by it any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.errors import Rejected
from shared.flows.ports import ASKED, Warehouse
from shared.providers.kit.protocol import Traits

WATCHED: Final = timedelta(days=31)
"""The longest that a provider repeats a delivery under its old signature."""

USED_SQL: Final = """SELECT key_id, COUNT(DISTINCT delivery_id) AS deliveries, MIN(received_at) AS first, MAX(received_at) AS last
FROM deliveries CROSS JOIN UNNEST(key_ids) AS key_id
WHERE provider = @provider AND received_at >= @since AND received_at < @until
GROUP BY key_id
ORDER BY key_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What a key proved in the time that was asked about."""

    key_id: str
    deliveries: int
    first: datetime
    last: datetime


def used(warehouse: Warehouse, provider: str, since: datetime, until: datetime) -> list[KeyUse]:
    rows = warehouse.query(USED_SQL, {"provider": provider, "since": since, "until": until}, bound=ASKED)
    return [KeyUse(**{name: row[name] for name in KeyUse.__slots__}) for row in rows]


def quiet_for(traits: Traits) -> timedelta:
    """How long a key has to have proved nothing before it may go: as long as the provider repeats what it signed with it, and
    a day at least."""
    return timedelta(days=max(traits.retry_days or WATCHED.days, 1.0))


def with_key(secret: dict[str, Any], key_id: str, value: str) -> dict[str, Any]:
    """`WEBHOOK_<PROVIDER>` with a key more, the last one. Raises Rejected for a key id that it has already, and an empty one."""
    keys = _keys(secret)
    if not key_id.strip() or not value:
        raise Rejected("an empty key lets anyone sign", reason="bad_key")
    if key_id in keys:
        raise Rejected(f"there is a key {key_id} already: a new key has a new id", reason="bad_key")
    if value in keys.values():
        raise Rejected("this is the secret of a key that is there already", reason="bad_key")
    return {**secret, "keys": {**keys, key_id: value}}


def without_key(
    secret: dict[str, Any],
    key_id: str,
    uses: Sequence[KeyUse],
    now: datetime,
    quiet: timedelta,
    *,
    lost: bool = False,
) -> dict[str, Any]:
    """`WEBHOOK_<PROVIDER>` without that key. Raises Rejected where it is the last one, where it proved something within `quiet`,
    and where no other key has proved anything: then nobody knows that those that stay are the provider's. lost: others may have
    that key too, so that what it proves is no reason to keep it; what the provider signed with it alone is refused."""
    keys = _keys(secret)
    if key_id not in keys:
        raise Rejected(f"there is no key {key_id}: there are {', '.join(keys)}", reason="bad_key")
    rest = {name: value for name, value in keys.items() if name != key_id}
    last = next((one.last for one in uses if one.key_id == key_id), None)
    if last is not None and now - last < quiet and not lost:
        raise Rejected(
            f"{key_id} proved a delivery {now - last} ago: wait until it has not for {quiet}", reason="key_in_use"
        )
    if not any(one.key_id in rest and now - one.last < quiet for one in uses):
        raise Rejected(
            f"none of {', '.join(rest) or 'no keys'} has proved anything within {quiet}", reason="key_unproved"
        )
    return {**secret, "keys": rest}


def _keys(secret: dict[str, Any]) -> dict[str, str]:
    keys = secret.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise Rejected('the secret has no "keys"', reason="bad_key")
    return keys
