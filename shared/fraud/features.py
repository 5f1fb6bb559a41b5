"""What a payment is judged by: every feature declared once, as a row of FEATURES.

A declaration says what is counted (entity, measure, window), not how. `shared.fraud.history` computes it from
documents while a payment waits; `shared.fraud.point_in_time` compiles it to BigQuery SQL for the past. A property
test holds the two to the same numbers, row by row. Nothing here knows a payment's future: a feature sees only what
came before it, and a fraud only once somebody told us of it.

Windows are made of event-time buckets (five minutes, hours, days) and reach back from the end of the payment's own
bucket: `1h` is the last twelve five-minute buckets, the current one included.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt
from typing import assert_never

from shared.domain.events import Event, PaymentAttempt, PaymentChanged, PaymentStep
from shared.domain.instants import EPOCH as EPOCH
from shared.domain.instants import MICROSECOND as MICROSECOND
from shared.domain.instants import microseconds as microseconds
from shared.domain.reference_amount import EURO_MILLIONTHS, LARGEST, reference_minor
from shared.fraud.claims import CLAIMING_STAGES, CLAIMING_STATUSES, RULINGS, STAGES, UNTOLD_REASON


class Entity(StrEnum):
    """What history is kept of."""

    CARD = "card"
    CUSTOMER = "customer"
    DEVICE = "device"
    IP = "ip"
    EMAIL_DOMAIN = "email_domain"


ENTITY_FIELDS: Mapping[Entity, tuple[str, ...]] = {
    Entity.CARD: ("card.fingerprint",),
    # The same e-mail names the same customer where a provider gives no id of theirs.
    Entity.CUSTOMER: ("customer_id", "email_hash"),
    Entity.DEVICE: ("device_id",),
    Entity.IP: ("ip_network",),
    Entity.EMAIL_DOMAIN: ("email_domain",),
}
"""Entity → the event's members that name it; the first that is there."""

FREE_MAIL = (
    *("126.com", "163.com", "aol.com", "btinternet.com", "comcast.net", "free.fr", "gmail.com", "gmx.at", "gmx.de"),
    *("gmx.net", "googlemail.com", "hotmail.co.uk", "hotmail.com", "hotmail.fr", "icloud.com", "laposte.net"),
    *("libero.it", "live.com", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com", "naver.com", "orange.fr"),
    *(
        "outlook.com",
        "outlook.fr",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "seznam.cz",
        "t-online.de",
    ),
    *("uol.com.br", "verizon.net", "wanadoo.fr", "web.de", "wp.pl", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com"),
    *("yahoo.com.br", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "zoho.com"),
)
"""E-mail domains that half the world shares. They keep no history: it would say nothing, and be written by everyone."""

CAPPED = (Entity.DEVICE, Entity.IP, Entity.EMAIL_DOMAIN)
"""Entities that can be hot (a carrier's gateway, a company's domain)."""

CAP = 200
"""A capped entity's document takes this many payments in one five-minute bucket and then waits for the next: below
the one write a second that a document sustains. By then its counts say all that they can."""


class Grain(StrEnum):
    """The width of a bucket; the name of its map in a document."""

    MINUTES = "five_minutes"
    HOURS = "hours"
    DAYS = "days"


GRAIN_MICROSECONDS: Mapping[Grain, int] = {
    Grain.MINUTES: 300_000_000,
    Grain.HOURS: 3_600_000_000,
    Grain.DAYS: 86_400_000_000,
}


class Window(StrEnum):
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MATURE_1 = "8d"
    MATURE_3 = "10d"
    FORTNIGHT = "14d"
    MONTH = "30d"
    EVER = "ever"


BUCKETS: Mapping[Window, tuple[Grain, int]] = {
    Window.HOUR: (Grain.MINUTES, 12),
    Window.DAY: (Grain.HOURS, 24),
    Window.WEEK: (Grain.DAYS, 7),
    Window.MATURE_1: (Grain.DAYS, 8),
    Window.MATURE_3: (Grain.DAYS, 10),
    Window.FORTNIGHT: (Grain.DAYS, 14),
    Window.MONTH: (Grain.DAYS, 30),
}
"""Window → width and number of its buckets. EVER has none: a running total."""


class Measure(StrEnum):
    """What one event adds to a bucket, always a whole number."""

    PAYMENTS = "payments"
    DECLINED = "declined"
    SMALL = "small"  # under two euros: how stolen cards are tried out
    AMOUNT = "amount"  # reference minor units
    AMOUNT_SQUARED = "amount_squared"
    MAGNITUDE = "magnitude"  # `magnitude` of the amount: its sum over payments is the logarithm of what is usual
    LARGE = "large"  # several times as large as what was usual of the entity when it was decided on
    FRAUDS = "frauds"  # payments of which fraud became known in this bucket
    CONFIRMED = "confirmed"  # payments of this bucket of which fraud is known, whenever it became known
    NEW_CARDS = "new_cards"  # seen with this entity for the first time
    NEW_CUSTOMERS = "new_customers"
    NEW_DEVICES = "new_devices"
    NEW_IPS = "new_ips"


SMALL_AMOUNT = 200

OCTAVE = 4
"""Steps of `magnitude` in which an amount doubles."""


def _step(number: int) -> int:
    """The least amount at or above 2 ** (number / OCTAVE), in integers: online and in SQL no rounding can differ."""
    power = 1 << number
    least = isqrt(isqrt(power))
    return least if least**OCTAVE >= power else least + 1


MAGNITUDES: tuple[int, ...] = tuple(_step(number) for number in range(LARGEST.bit_length() * OCTAVE))
"""Reference minor units at which `magnitude` grows by one."""


def magnitude(amount: int) -> int:
    """The size of an amount on a scale of logarithms: one that is twice as large is OCTAVE larger."""
    return bisect_right(MAGNITUDES, amount)


LARGE_ABOVE = 2 * OCTAVE
"""How many magnitudes above the mean of an entity's earlier payments one is large: four times their geometric mean. A
mean of logarithms hardly moves when one payment is five times as large, so that it needs no baseline that leaves out
what was strange, which would depend on the order in which payments are heard."""

LARGE_FROM = 3
"""Earlier payments without which nothing is usual yet."""

NEW: Mapping[Entity, Measure] = {
    Entity.CARD: Measure.NEW_CARDS,
    Entity.CUSTOMER: Measure.NEW_CUSTOMERS,
    Entity.DEVICE: Measure.NEW_DEVICES,
    Entity.IP: Measure.NEW_IPS,
}

PAIRS: tuple[tuple[Entity, Entity], ...] = (
    (Entity.CUSTOMER, Entity.CARD),
    (Entity.CUSTOMER, Entity.DEVICE),
    (Entity.CUSTOMER, Entity.IP),
    (Entity.CARD, Entity.DEVICE),
    (Entity.CARD, Entity.IP),
)
"""(keeper, other): the keeper's document remembers which others it was seen with. A keeper is the side that has few:
a person has few cards and devices, while an address may have thousands. Keepers are never capped."""

SEEN_LIMIT = 256
"""Others remembered by one keeper. Past this a new one is "unknown", not "new"."""


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of a measure over a window."""

    name: str
    entity: Entity
    measure: Measure
    window: Window


@dataclass(frozen=True, slots=True)
class Share:
    """A measure's part of the payments in a window; missing when there were none."""

    name: str
    entity: Entity
    measure: Measure
    window: Window


@dataclass(frozen=True, slots=True)
class MaturedShare:
    """Fraud's part of the payments in a window that have a label: those of before the last seven days, and of these
    days those of which fraud is known already. Missing when there are none.

    A window of eight days holds the labels of the entity's latest such day, one of ten those of its latest three: they
    are what the last one and the last few labels of an entity are, in buckets, which no order of news can change.
    """

    name: str
    entity: Entity
    window: Window


@dataclass(frozen=True, slots=True)
class FraudRun:
    """Days since the entity's frauds began of which no end is known: of the days in the window of whose payments some are
    known to be fraud, the first after the latest that is `LABELED_AFTER` days old and of whose none is. 0 is the
    payment's own day; missing when there is no such day. Made of days, whose order of news changes nothing.
    """

    name: str
    entity: Entity
    window: Window


LABELED_AFTER = 8
"""Days after which all payments of a day, its last one too, have had a week to become known."""


@dataclass(frozen=True, slots=True)
class AmountRatio:
    """This amount over the entity's mean of all earlier ones."""

    name: str
    entity: Entity


@dataclass(frozen=True, slots=True)
class AmountDeviation:
    """How far this amount is from the entity's mean, in standard deviations widened by a quarter of the mean: someone
    who always pays the same is not a million deviations away when the price rises by a cent."""

    name: str
    entity: Entity


class Moment(StrEnum):
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Since:
    """Seconds since the entity's first or last payment."""

    name: str
    entity: Entity
    moment: Moment


@dataclass(frozen=True, slots=True)
class Novelty:
    """1 when `keeper` was never seen with `other`, else 0."""

    name: str
    keeper: Entity
    other: Entity


@dataclass(frozen=True, slots=True)
class Amount:
    """This payment's amount in reference minor units."""

    name: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Whole `unit`s of UTC time since the epoch plus `shift`, modulo `cycle`: the hour of the day, the weekday."""

    name: str
    unit: int
    cycle: int
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Is:
    """1 when a member of the event is one of `values`, 0 when it is another, missing when it is not told."""

    name: str
    member: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differs:
    """1 when two members differ, 0 when they are the same, missing unless both are told."""

    name: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number that the event carries."""

    name: str
    member: str


Feature = (
    Total
    | Share
    | MaturedShare
    | FraudRun
    | AmountRatio
    | AmountDeviation
    | Since
    | Novelty
    | Amount
    | Clock
    | Is
    | Differs
    | Number
)


def _totals() -> Iterator[Feature]:
    """`<entity>_<measure>_<window>` for each row of the table below."""
    hour, day, week, month, ever = Window.HOUR, Window.DAY, Window.WEEK, Window.MONTH, Window.EVER
    table: Mapping[Entity, Mapping[Measure, tuple[Window, ...]]] = {
        Entity.CARD: {
            Measure.PAYMENTS: (hour, day, week, month),
            Measure.DECLINED: (hour, day, week),
            Measure.SMALL: (day,),
            Measure.AMOUNT: (day, week),
            Measure.NEW_CUSTOMERS: (month,),
            Measure.NEW_DEVICES: (day, week),
            Measure.FRAUDS: (month, ever),
        },
        Entity.CUSTOMER: {
            Measure.PAYMENTS: (hour, day, week, month),
            Measure.DECLINED: (day, week),
            Measure.AMOUNT: (day, month),
            Measure.LARGE: (week, Window.FORTNIGHT),
            Measure.NEW_CARDS: (day, month),
            Measure.NEW_DEVICES: (week,),
            Measure.NEW_IPS: (day,),
            Measure.FRAUDS: (ever,),
        },
        Entity.DEVICE: {
            Measure.PAYMENTS: (hour, day, week),
            Measure.DECLINED: (hour, day),
            Measure.SMALL: (day,),
            Measure.NEW_CARDS: (hour, day, month),
            Measure.NEW_CUSTOMERS: (day, month),
            Measure.FRAUDS: (week, month),
        },
        Entity.IP: {
            Measure.PAYMENTS: (hour, day, week),
            Measure.DECLINED: (hour, day),
            Measure.NEW_CARDS: (hour, day),
            Measure.NEW_CUSTOMERS: (day,),
            Measure.FRAUDS: (week, month),
        },
        Entity.EMAIL_DOMAIN: {Measure.PAYMENTS: (hour, day, month), Measure.FRAUDS: (month,)},
    }
    for entity, measures in table.items():
        for measure, windows in measures.items():
            for window in windows:
                yield Total(f"{entity}_{measure}_{window}", entity, measure, window)


MATURED: Mapping[Entity, tuple[Window, ...]] = {
    Entity.DEVICE: (Window.MATURE_1, Window.MATURE_3, Window.FORTNIGHT, Window.MONTH),
}
"""Entity → the windows of its matured shares."""

FEATURES: tuple[Feature, ...] = (
    Amount("amount"),
    Clock("hour_of_day", unit=3_600_000_000, cycle=24),
    Clock("weekday", unit=86_400_000_000, cycle=7, shift=3),  # 1970-01-01 was a Thursday; Monday is 0
    Is("merchant_initiated", "initiator", ("merchant",)),
    Is("three_d_secure_passed", "three_d_secure", ("authenticated",)),
    Is("three_d_secure_failed", "three_d_secure", ("failed",)),
    Is("cvv_mismatch", "cvv_result", ("mismatch",)),
    Is("avs_mismatch", "avs_result", ("mismatch",)),
    Is("prepaid_card", "card.funding", ("prepaid",)),
    Is("free_mail", "email_domain", FREE_MAIL),
    Is("reported_stolen", "decline_code", ("fraudulent", "lost_card", "pickup_card", "restricted_card", "stolen_card")),
    Differs("country_mismatch", "card.country", "billing_country"),
    Number("provider_score", "provider_score"),
    *_totals(),
    Share("card_declined_share_7d", Entity.CARD, Measure.DECLINED, Window.WEEK),
    Share("ip_fraud_share_30d", Entity.IP, Measure.FRAUDS, Window.MONTH),
    Share("email_domain_declined_share_24h", Entity.EMAIL_DOMAIN, Measure.DECLINED, Window.DAY),
    Share("email_domain_fraud_share_30d", Entity.EMAIL_DOMAIN, Measure.FRAUDS, Window.MONTH),
    *(
        MaturedShare(f"{entity}_matured_share_{window}", entity, window)
        for entity, windows in MATURED.items()
        for window in windows
    ),
    FraudRun("device_fraud_run_30d", Entity.DEVICE, Window.MONTH),
    AmountRatio("amount_over_customer_mean", Entity.CUSTOMER),
    AmountDeviation("amount_deviation_of_customer", Entity.CUSTOMER),
    AmountRatio("amount_over_card_mean", Entity.CARD),
    *(Since(f"since_first_of_{entity}", entity, Moment.FIRST) for entity in Entity),
    *(
        Since(f"since_last_of_{entity}", entity, Moment.LAST)
        for entity in (Entity.CARD, Entity.CUSTOMER, Entity.DEVICE)
    ),
    *(Novelty(f"new_{other}_of_{keeper}", keeper, other) for keeper, other in PAIRS),
)

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)

LONG_TAILED: tuple[str, ...] = tuple(
    feature.name
    for feature in FEATURES
    if isinstance(feature, Amount | AmountRatio | AmountDeviation | Share | MaturedShare)
    or (isinstance(feature, Total) and feature.measure in (Measure.AMOUNT, Measure.FRAUDS))
)
"""Amounts and rates: fraud sits in the last percent of them, which quantile bins would merge away."""

TRAINING_EXCLUDED = ("reported_stolen",)
"""Known only of declined payments, which training leaves out: a model could learn nothing from it. For rules."""

Cell = tuple[Entity, Measure, Window]


def cells_of(feature: Feature) -> tuple[Cell, ...]:
    """The sums a feature is made of."""
    match feature:
        case Total():
            return ((feature.entity, feature.measure, feature.window),)
        case Share():
            return (
                (feature.entity, feature.measure, feature.window),
                (feature.entity, Measure.PAYMENTS, feature.window),
            )
        case MaturedShare():
            return tuple(
                (feature.entity, measure, window)
                for measure in (Measure.CONFIRMED, Measure.PAYMENTS)
                for window in (feature.window, Window.WEEK)
            )
        case FraudRun():
            return (
                (feature.entity, Measure.CONFIRMED, feature.window),
                (feature.entity, Measure.PAYMENTS, feature.window),
            )
        case AmountRatio():
            return (
                (feature.entity, Measure.AMOUNT, Window.EVER),
                (feature.entity, Measure.PAYMENTS, Window.EVER),
            )
        case AmountDeviation():
            return (
                (feature.entity, Measure.AMOUNT, Window.EVER),
                (feature.entity, Measure.PAYMENTS, Window.EVER),
                (feature.entity, Measure.AMOUNT_SQUARED, Window.EVER),
            )
        case Since() | Novelty() | Amount() | Clock() | Is() | Differs() | Number():
            return ()
        case _:
            assert_never(feature)


LARGE_OF: tuple[Entity, ...] = tuple(
    entity
    for entity in Entity
    if any(isinstance(one, Total) and (one.entity, one.measure) == (entity, Measure.LARGE) for one in FEATURES)
)
"""Entities of which it is known what is usual. None of them may be capped: what is usual counts every payment."""

_USUAL: tuple[tuple[Measure, Window], ...] = ((Measure.MAGNITUDE, Window.EVER), (Measure.PAYMENTS, Window.EVER))

CELLS: Mapping[Entity, tuple[tuple[Measure, Window], ...]] = {
    entity: tuple(
        dict.fromkeys(
            (
                *(cell[1:] for feature in FEATURES for cell in cells_of(feature) if cell[0] is entity),
                *(_USUAL if entity in LARGE_OF else ()),
            )
        )
    )
    for entity in Entity
}
"""Entity → the sums that some feature, or what is usual, is made of: exactly these are written."""

ATTEMPT_STEPS = (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.DECLINED)
CARD_METHOD = "card"
NAMING = tuple(path for paths in ENTITY_FIELDS.values() for path in paths)

SCHEMA_VERSION = hashlib.sha256(
    repr(
        (
            FEATURES,
            ENTITY_FIELDS,
            FREE_MAIL,
            CAPPED,
            CAP,
            BUCKETS,
            GRAIN_MICROSECONDS,
            PAIRS,
            SEEN_LIMIT,
            SMALL_AMOUNT,
            (OCTAVE, LARGE_ABOVE, LARGE_FROM),
            LABELED_AFTER,
            (EURO_MILLIONTHS, LARGEST),
            (ATTEMPT_STEPS, CARD_METHOD),
            (CLAIMING_STAGES, CLAIMING_STATUSES, RULINGS, STAGES, UNTOLD_REASON),
        )
    ).encode()
).hexdigest()[:16]
"""Changes with anything that could change a feature's value; a model refuses to score another schema's vectors."""


def is_attempt(event: Event) -> bool:
    """Whether this event can be decided on: the issuer said yes or no, and we are told who or what paid.

    A card payment's event without the card is a summary (Stripe sends `payment_intent.succeeded` beside
    `charge.succeeded`), and a capture that names nobody is a notice about an authorization that named them. Deciding
    on whichever comes first would leave half of the decisions blind.
    """
    if not isinstance(event, PaymentChanged) or event.step not in ATTEMPT_STEPS:
        return False
    if event.method not in (None, "", CARD_METHOD):
        return True
    named = event.step is not PaymentStep.CAPTURED or any(member(event, path) for path in NAMING)
    return event.card is not None and named


def member(event: object, path: str) -> object:
    """The event's member at `card.country`; None where any part is missing."""
    value: object = event
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def document_name(value: str) -> str:
    """A name that a document may bear: what no real identifier is as long as, by its hash."""
    return value if len(value) <= 200 else hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment event, or a payment to be, as far as features look at it. at: microseconds since the epoch. amount:
    reference minor units. entities: only those the event names and that keep history."""

    event: PaymentAttempt
    at: int
    amount: int | None
    entities: Mapping[Entity, str]
    shared: frozenset[Entity]

    @classmethod
    def of(cls, event: PaymentAttempt) -> "Attempt":
        named = {
            entity: document_name(str(value))
            for entity, fields in ENTITY_FIELDS.items()
            if (value := next((found for path in fields if (found := member(event, path))), None))
        }
        shared = frozenset({Entity.EMAIL_DOMAIN} if named.get(Entity.EMAIL_DOMAIN) in FREE_MAIL else ())
        return cls(
            event=event,
            at=microseconds(event.occurred_at),
            amount=reference_minor(event.amount),
            entities={entity: value for entity, value in named.items() if entity not in shared},
            shared=shared,
        )

    @property
    def also(self) -> Sequence[str]:
        """Other names of the customer: of an address by which they go, those under other keys."""
        event = self.event
        return event.email_hash_also if self.entities.get(Entity.CUSTOMER) == event.email_hash else ()

    @property
    def declined(self) -> bool:
        """Whether the issuer refused it: what we refuse ourselves is an attempt like any other."""
        return isinstance(self.event, PaymentChanged) and self.event.step is PaymentStep.DECLINED

    def adds(self) -> dict[Measure, int]:
        """What this payment adds to each of its entities' buckets, apart from pairs."""
        amount = self.amount or 0
        return {
            Measure.PAYMENTS: 1,
            Measure.DECLINED: int(self.declined),
            Measure.SMALL: int(self.amount is not None and self.amount < SMALL_AMOUNT),
            Measure.AMOUNT: amount,
            Measure.MAGNITUDE: magnitude(amount),
            Measure.AMOUNT_SQUARED: amount * amount,
        }
