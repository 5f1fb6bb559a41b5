"""What the service that is sold knows of a subscriber: what was agreed to, and when it was used. Told to `usage-evidence` when a
payment is disputed, as its contract asks.
"""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.simulator.facts import Attempt, Fact
from tests.simulator.world import DAY, HOUR, MINUTE, SECOND, Fraud, World

MERCHANT = {
    "name": "Simulated Music",
    "descriptors": {"": "SIMULATED MUSIC"},
    "product": "Music without advertisements, by the month or as a gift card; it is there as soon as it is paid.",
    "cancellation": "A subscription is canceled in the account's settings at any time, and ends with the month that is paid.",
    "refunds": "What was not used is given back within 14 days of the payment.",
    "sampled": True,
}
"""`PAYIN_MERCHANT`, of the simulated business."""

_TERMS = "2026-05"
# Of days on which somebody could have listened, the share on which they did. Whoever has a stolen card sells what he bought on.
_LISTENS = {None: 0.7, Fraud.FRIENDLY: 0.8, Fraud.ACCOUNT_TAKEOVER: 0.4, Fraud.TRIAL_ABUSE: 0.3}
_THIEF_LISTENS = 0.05
# Of subscribers who are asked whether app stores may be told of their use, how many agree, and how many answer at all.
_AGREE, _ANSWER = 0.7, 0.85


def usage_message(world: World, opened: Fact) -> bytes:
    """What is known of the subscriber whose payment `opened` disputes, at that instant: the same every time."""
    attempt = opened.attempt
    rng = random.Random(f"usage:{attempt.id}")
    before = [one for one in world.attempts if one.customer == attempt.customer and one.decline_code is None]
    first = min(before, key=lambda one: one.at)
    records = [*_agreed(first), *_signed_in(attempt), *_listened(world, attempt, opened.at, rng)]
    told = {
        "version": 1,
        "message_id": f"disputed-{attempt.id}",
        "source": "player",
        "customer_id": attempt.customer,
        "records": records,
    }
    return json.dumps(told).encode()


def _agreed(first: Attempt) -> Iterator[dict[str, Any]]:
    at = (first.at - 2 * MINUTE).isoformat()
    for policy in ("terms", "refunds"):
        yield {"kind": "policy", "at": at, "policy": policy, "version": _TERMS, "ip": first.ip}
    yield {"kind": "plan", "at": first.at.isoformat(), "plan": first.plan}
    asked = random.Random(f"consent:{first.customer}").random()
    if asked < _ANSWER:
        yield {"kind": "consent", "at": at, "purpose": "app_stores", "given": asked < _AGREE}


def _signed_in(attempt: Attempt) -> Iterator[dict[str, Any]]:
    """Whoever pays is logged in; a renewal is nobody's visit."""
    if attempt.device is not None:
        at = (attempt.at - 3 * MINUTE).isoformat()
        yield {"kind": "login", "at": at, "ip": attempt.ip, "device_id": attempt.device}


def _listened(world: World, attempt: Attempt, until: datetime, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Every day between the payment and the dispute on which there was time for it; a month at most."""
    share = _LISTENS.get(world.truth.get(attempt.id), _THIEF_LISTENS)
    midnight = attempt.at.replace(hour=0, minute=0, second=0) + DAY
    while midnight + DAY <= min(until, attempt.at + timedelta(days=31)):
        begins, plays = midnight + rng.randrange(6, 22) * HOUR, rng.randrange(3, 40)
        seconds = plays * rng.randrange(120, 260)
        if rng.random() < share:
            yield {
                "kind": "plays",
                "day": midnight.date().isoformat(),
                "count": plays,
                "seconds": seconds,
                "first_at": begins.isoformat(),
                "last_at": min(begins + seconds * SECOND, midnight + DAY - SECOND).isoformat(),
            }
        midnight += DAY
