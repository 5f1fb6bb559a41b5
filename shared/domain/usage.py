"""How a subscriber used what was bought, as other systems of ours tell it: kept for disputes, bounded and expiring.

Everything here is a join: the greatest, the earliest or the newest of what was told. So the order in which messages arrive
cannot matter, nor how often each does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.domain.codec import encode

SIGN_INS = PLAYS = 200
"""So many spans are kept of each, the newest: half a year of a subscriber who signs in and plays every day."""
APP_STORES = "app_stores"
"""The purpose of a consent: an app store that is asked for a refund is told of the use."""
OTHERS = 20
"""So many facts of every other kind."""
KEPT = timedelta(days=400)
"""After the newest thing told: a dispute may come 120 days after its payment and compelling evidence looks back 365. Sign-ins,
plays and messages that are so much older than the newest go earlier; what was agreed stays as long as the subscriber."""
FARTHEST_AHEAD = timedelta(days=1)
"""A clock that is further ahead than this is wrong, and what it dates would push out everything true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Signing in to the account on one day (UTC) from one address on one device: the first time and the last."""

    first_at: datetime
    last_at: datetime
    ip: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The use of one day (UTC), as one system counts it so far: plays, and seconds where it counts those."""

    count: int
    first_at: datetime
    last_at: datetime
    seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChanged:
    """The subscription became `plan`; before it was `before`, None where it began."""

    at: datetime
    plan: str
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationStep:
    """How far somebody came in the cancellation flow: opened, offered, confirmed, abandoned, revoked. effective_at: when what
    was confirmed ends the subscription."""

    at: datetime
    step: str
    effective_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAccepted:
    """`policy`: terms, refunds, cancellation, ... digest: SHA-256 of the text that was shown."""

    at: datetime
    policy: str
    version: str
    digest: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The subscriber agreed that data is used for `purpose`, or (`given` False) agrees no longer."""

    at: datetime
    purpose: str
    given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMessage:
    """What was written, masked. from_customer False: our answer."""

    at: datetime
    from_customer: bool
    channel: str
    text: str = field(repr=False)


Fact = PlanChanged | CancellationStep | PolicyAccepted | Consent | CustomerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message of `usage-evidence`. message_id: the same for every copy, unique within `source`, the system that says it."""

    message_id: str
    source: str
    customer_id: str
    sign_ins: tuple[SignIn, ...] = ()
    plays: tuple[Played, ...] = ()
    plans: tuple[PlanChanged, ...] = ()
    cancellations: tuple[CancellationStep, ...] = ()
    policies: tuple[PolicyAccepted, ...] = ()
    consents: tuple[Consent, ...] = ()
    messages: tuple[CustomerMessage, ...] = ()

    def facts(self) -> dict[str, tuple[Fact, ...]]:
        """By the member of `Usage` in which they are kept."""
        return {name: getattr(self, name) for name in _FACTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """All that is kept of a subscriber. sign_ins by day, address and device; plays by day and the system that counts; facts by
    the message that told them. newest_at: when the newest of all was; None of one of whom nothing is known."""

    customer_id: str
    sign_ins: Mapping[str, SignIn] = field(default_factory=dict)
    plays: Mapping[str, Played] = field(default_factory=dict)
    plans: Mapping[str, PlanChanged] = field(default_factory=dict)
    cancellations: Mapping[str, CancellationStep] = field(default_factory=dict)
    policies: Mapping[str, PolicyAccepted] = field(default_factory=dict)
    consents: Mapping[str, Consent] = field(default_factory=dict)
    messages: Mapping[str, CustomerMessage] = field(default_factory=dict)
    newest_at: datetime | None = None


_FACTS = ("plans", "cancellations", "policies", "consents", "messages")


def latest(told: Told) -> datetime:
    """When the newest of it was. Something is told."""
    spans = [*(one.last_at for one in told.sign_ins), *(one.last_at for one in told.plays)]
    return max([*spans, *(fact.at for facts in told.facts().values() for fact in facts)])


def record(usage: Usage, told: Told) -> Usage:
    """`usage` with what is `told`, which is of the same subscriber. The same usage, when that is known."""
    sign_ins, plays = dict(usage.sign_ins), dict(usage.plays)
    for sign_in in told.sign_ins:
        _join(sign_ins, f"{_day(sign_in.first_at)}/{sign_in.ip or ''}/{sign_in.device_id or ''}", sign_in, _as_one)
    for played in told.plays:
        _join(plays, f"{_day(played.first_at)}/{told.source}", played, _counted)
    newest = max(latest(told), usage.newest_at or latest(told))
    oldest = newest - KEPT

    def kept(name: str) -> dict[str, Any]:
        facts = dict(getattr(usage, name))
        for number, fact in enumerate(told.facts()[name]):
            _join(facts, f"{told.source}/{told.message_id}/{number}", fact, _newer)
        return _last(facts, OTHERS, lambda key, fact: (*_age(fact), key))

    return replace(
        usage,
        sign_ins=_last(sign_ins, SIGN_INS, lambda key, _: (key,), _day(oldest)),
        plays=_last(plays, PLAYS, lambda key, _: (key,), _day(oldest)),
        plans=kept("plans"),
        cancellations=kept("cancellations"),
        policies=kept("policies"),
        consents=kept("consents"),
        messages={key: one for key, one in kept("messages").items() if one.at >= oldest},
        newest_at=newest,
    )


F = TypeVar("F")


def after(usage: Usage, at: datetime) -> Usage | None:
    """What of it began after `at`: a span that reaches over it goes whole. None where nothing did."""
    kept: dict[str, Any] = {
        name: {key: one for key, one in getattr(usage, name).items() if _began(one) > at}
        for name in ("sign_ins", "plays", *_FACTS)
    }
    ends = [one.last_at if isinstance(one, SignIn | Played) else one.at for of in kept.values() for one in of.values()]
    return replace(usage, **kept, newest_at=max(ends)) if ends else None


def _began(one: SignIn | Played | Fact) -> datetime:
    return one.first_at if isinstance(one, SignIn | Played) else one.at


def _join(kept: dict[str, F], key: str, told: F, join: Callable[[F, F], F]) -> None:
    kept[key] = join(kept[key], told) if key in kept else told


def _as_one(one: SignIn, other: SignIn) -> SignIn:
    return replace(one, first_at=min(one.first_at, other.first_at), last_at=max(one.last_at, other.last_at))


def _counted(one: Played, other: Played) -> Played:
    """A day's count grows, so that of two the greater is the later one."""
    return Played(
        count=max(one.count, other.count),
        seconds=max(one.seconds, other.seconds),
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )


def _newer(one: Fact, other: Fact) -> Fact:
    """Of two that one message told: the later, or at one instant the one whose bytes are greater."""
    return max(one, other, key=_age)


def _age(fact: Fact) -> tuple[datetime, bytes]:
    return fact.at, encode(fact)


def _last(kept: Mapping[str, F], most: int, worth: Callable[[str, F], Any], since: str = "") -> dict[str, F]:
    """The `most` of greatest `worth`. The greatest of a union are the greatest of its parts' greatest, and what a join makes
    greater only stays: so it is the same in every order."""
    found = sorted((item for item in kept.items() if item[0] >= since), key=lambda item: worth(*item))
    return dict(found[-most:])


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def days(plays: Mapping[str, Played]) -> dict[str, Sequence[Played]]:
    """Day to what each system counted on it, in order."""
    found: dict[str, list[Played]] = {}
    for key in sorted(plays):
        found.setdefault(key.partition("/")[0], []).append(plays[key])
    return dict(found)
