"""One seeded model of a subscription business, told as Facts in order of time.

Honest life: sign-ups, trials, renewals bunched on a few days of the month, upgrades, gift cards, several devices and
addresses per person, carriers' shared addresses, travel, new cards, declines and their retries, refunds, complaints.
Fraud: stolen cards, card testing, account takeover, trial abuse, and real customers who deny what they bought.
Issuers warn and cardholders dispute days to weeks later; a dispute nobody answers by its deadline is lost.

Whoever checks out may be turned away before the provider hears of the payment, or challenged: then the story goes on as if
that payment had never been made, and every other one as it would have.

Nothing reads a clock. The same seed and the same answers to payments and disputes tell the same story.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from shared.domain.events import DisputeReason, DisputeStage, Initiator
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, SimulatedCard, SimulatedDispute
from tests.simulator.places import (
    BINS,
    BY_CODE,
    COUNTRIES,
    DISPOSABLE_MAIL,
    MAIL,
    NETWORKS,
    PROXY_NETWORK,
    REASON_CODES,
    SELLS_IN,
    SERVICE_REASONS,
    Country,
)

T = TypeVar("T")

START = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

# By how much is paid through each, where it is used at all. The first three are the business that a demo shows.
PROVIDERS = (
    *(("stripe", 50), ("adyen", 30), ("paypal", 20)),
    *((name, 12) for name in ("apple", "braintree", "checkout", "google", "gocardless", "klarna", "mollie", "square")),
    *((name, 25) for name in ("dlocal", "mercadopago", "razorpay", "worldpay")),
)
PROVIDER_NAMES = tuple(provider for provider, _ in PROVIDERS[:3])

# When people buy (UTC hours), and the days of a month on which subscriptions bunch.
_HOURS = (2, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 7, 6, 6, 6, 7, 8, 9, 9, 8, 7, 5, 3)
_BILLING_DAYS = ((1, 34), (15, 22), (28, 12))
_RENEWAL_HOUR = 6

# Neutral decline words by their share. The hard ones end the card; the soft ones are retried.
_SOFT_DECLINES = (("insufficient_funds", 62), ("do_not_honor", 30), ("issuer_not_available", 8))
_HARD_DECLINES = (("expired_card", 60), ("lost_card", 40))
_FRAUD_DECLINES = (("do_not_honor", 45), ("stolen_card", 25), ("incorrect_cvc", 20), ("fraudulent", 10))
_TESTING_DECLINES = (("incorrect_cvc", 45), ("invalid_number", 5), ("do_not_honor", 35), ("expired_card", 15))
_DUNNING = (1 * DAY, 3 * DAY, 7 * DAY)
SIGN_UPS = ("trial", "monthly")


class Fraud(StrEnum):
    """What a fraudulent attempt really was. Issuers and cardholders speak of most of them, late; of some, never."""

    STOLEN_CARD = "stolen_card"
    CARD_TESTING = "card_testing"
    ACCOUNT_TAKEOVER = "account_takeover"
    TRIAL_ABUSE = "trial_abuse"
    FRIENDLY = "friendly"


THIRD_PARTY = frozenset({Fraud.STOLEN_CARD, Fraud.CARD_TESTING, Fraud.ACCOUNT_TAKEOVER})

GIFTS_RELEASED = 0.04
"""Of honest gifts that are authorized, the part of which the buyer thinks better."""

DENIES_AGAIN_WITHIN = 60 * DAY
"""From the dispute on, in which a customer denied a payment of their own."""

HALF_DENY_AGAIN = 0.3
"""`Scale.denies_again` of subscribers, who pay twice in that time, where half of those who deny a payment deny another, as
Chargebacks911 counts (chargebacks911.com, "Monica Eaton-Cardone offers friendly fraud info")."""

# Of authentications under PSD2's rules that Netcetera's access control server saw in Europe, 85.5 % succeeded (April 2021,
# netcetera.com, "Strong customer authentication: initial results"). Of thieves nobody publishes a share.
OWNERS_WHO_AUTHENTICATE = 0.855
"""A card's owner who is challenged gets through so often; those of this world who authenticate anyway always, and a thief
only if he has got hold of the owner's means, as few of this world have (`three_d_secure` of his attempt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large and how bad the world is. Rates are per day unless they are shares (0 to 1).

    Fraud is many times as frequent as at a real shop, so that a few weeks of few payments hold enough of it to learn from.
    """

    name: str
    subscribers: int  # on the first day, spread over the billing days
    days: int  # of new traffic
    settle_days: int  # in which only consequences arrive: refunds, warnings, disputes and their deadlines
    signups: float
    gifts: float
    upgrades: float
    stolen_cards: float
    testing_bursts: float
    takeovers: float
    trial_abusers: float
    friendly_share: float = 0.004
    denies_again: float = 0.004  # of the payments that a customer makes after having denied one
    complaint_share: float = 0.006
    refund_share: float = 0.025
    other_events_share: float = 0.01  # events of types that nothing of ours follows


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="demo",
            subscribers=420,
            days=56,
            settle_days=30,
            signups=12.8,
            gifts=4.2,
            upgrades=2.3,
            stolen_cards=1.3,
            testing_bursts=0.2,
            takeovers=0.5,
            trial_abusers=0.25,
        ),
        Scale(
            name="short",
            subscribers=80,
            days=49,
            settle_days=30,
            signups=2.9,
            gifts=1.2,
            upgrades=0.5,
            stolen_cards=0.65,
            testing_bursts=0.03,
            takeovers=0.4,
            trial_abusers=0.08,
        ),
        Scale(
            name="bench",
            subscribers=6000,
            days=28,
            settle_days=0,
            signups=180.0,
            gifts=55.0,
            upgrades=30.0,
            stolen_cards=12.0,
            testing_bursts=2.0,
            takeovers=5.0,
            trial_abusers=3.0,
        ),
    )
}


@dataclass(slots=True)
class Customer:
    """`card` changes when it is issued anew; `devices` and `addresses` grow. A canceled customer is not billed again. denied_at: when
    the latest dispute in which they denied a payment of their own was opened, or will be."""

    id: str
    country: Country
    provider: str
    email: str
    card: SimulatedCard
    devices: list[str]
    addresses: list[str]
    premium: bool = False
    canceled: bool = False
    denied_at: datetime | None = None


@dataclass(slots=True)
class _Case:
    """A dispute's private fate: it draws from its own randomness, so that answering one changes no other."""

    attempt: Attempt
    dispute: SimulatedDispute
    luck: random.Random
    answered: bool = False
    over: bool = False
    opened: bool = False


@dataclass(frozen=True, slots=True)
class _Ring:
    """Fraudsters at work: what they share across victims."""

    devices: tuple[str, ...]
    addresses: tuple[str, ...]
    mail: tuple[str, ...]


Act = Callable[[datetime], None]


@dataclass(order=True, slots=True)
class _Entry:
    at: datetime
    order: int
    act: Act | Fact = field(compare=False)


class World:
    """The story, told by `until`. `truth` maps attempt ids to what they really were; honest ones are absent."""

    def __init__(
        self,
        scale: Scale,
        seed: int,
        providers: Sequence[str] = PROVIDER_NAMES,
        start: datetime = START,
    ) -> None:
        self.scale = scale
        self.start = start
        self.traffic_end = start + scale.days * DAY
        self.end = self.traffic_end + scale.settle_days * DAY
        self.truth: dict[str, Fraud] = {}
        self.attempts: list[Attempt] = []
        self._seed = seed
        self._rng = random.Random(f"world:{seed}")
        self._providers = tuple((name, weight) for name, weight in PROVIDERS if name in providers)
        if not self._providers:
            raise ValueError(f"no simulated business uses {providers}")
        self._countries = tuple(country for country in COUNTRIES if self._providers_of(country))
        self._heap: list[_Entry] = []
        self._order = itertools.count()
        self._names = itertools.count(1)
        self._customers: list[Customer] = []
        self._turned_away: set[str] = set()
        self._never_joined: set[str] = set()
        self._cases: dict[str, _Case] = {}
        self._given_back: set[str] = set()
        self._denial: dict[str, float] = {}
        for _ in range(scale.subscribers):
            customer = self._new_customer()
            self._bill_from(customer, start)
        self._later(start, self._live_a_day)

    def until(self, instant: datetime) -> Iterator[Fact]:
        """What happens before `instant`, in order of time, from where the last call stopped. Lazy."""
        instant = min(instant, self.end)
        while self._heap and self._heap[0].at < instant:
            entry = heapq.heappop(self._heap)
            if isinstance(entry.act, Fact):
                if self._happens(entry.act):
                    yield entry.act
            else:
                entry.act(entry.at)

    def answer(self, dispute_id: str, at: datetime) -> bool:
        """The merchant sends evidence for `dispute_id` at `at`. False if it is over, answered or past its deadline."""
        case = self._cases[dispute_id]
        if not self._takes(case, at):
            return False
        case.answered = True
        self._tell(FactKind.DISPUTE_ANSWERED, case.attempt, at, dispute=case.dispute)
        won = case.luck.random() < (0.35 if case.dispute.reason is DisputeReason.FRAUD else 0.6)
        ruled_at = at + _between(case.luck, 4 * DAY, 18 * DAY)
        self._tell(FactKind.DISPUTE_WON if won else FactKind.DISPUTE_LOST, case.attempt, ruled_at, dispute=case.dispute)
        return True

    def accept(self, dispute_id: str, at: datetime) -> bool:
        """The merchant accepts the claim at `at`: a day later the provider tells that it is lost. False as `answer`."""
        case = self._cases[dispute_id]
        if not self._takes(case, at):
            return False
        case.answered = True
        self._tell(FactKind.DISPUTE_LOST, case.attempt, at + DAY, dispute=case.dispute)
        return True

    def give_back(self, attempt: Attempt, at: datetime) -> bool:
        """The merchant refunds a payment of which its issuer has warned: who has the money back disputes nothing. False where
        it is disputed or went back already."""
        if attempt.id in self._given_back or any(one.attempt == attempt and one.opened for one in self._cases.values()):
            return False
        self._given_back.add(attempt.id)
        self._tell(FactKind.REFUNDED, attempt, at, attempt.amount, f"{attempt.id}-r1")
        return True

    @staticmethod
    def _takes(case: _Case, at: datetime) -> bool:
        respond_by = case.dispute.respond_by
        return not (case.answered or case.over or (respond_by is not None and at > respond_by))

    def proves(self, attempt: Attempt) -> bool:
        """Whether whoever pays would stand a challenge by 3-D Secure."""
        if attempt.three_d_secure:
            return True
        owns = self.truth.get(attempt.id) not in THIRD_PARTY
        return owns and random.Random(f"challenge:{self._seed}:{attempt.id}").random() < OWNERS_WHO_AUTHENTICATE

    def chance_of_denial(self, attempt: Attempt) -> float:
        """How likely it was, by all that this world knew before it drew, that the one who paid denies it later. Who has done so may
        be likelier to do it again (`denies_again`); nothing else about a person, a device or an amount makes it likelier."""
        return self._denial.get(attempt.id, 0.0)

    def turn_away(self, attempt: Attempt) -> None:
        """`attempt` never gets to its provider: of what would have followed nothing is told.

        An honest customer does not come back; one who was signing up is not billed either, unless another attempt that is
        part of the story gets through (`let_through`).
        """
        self._turned_away.add(attempt.id)
        if attempt.plan in SIGN_UPS:
            self._never_joined.add(attempt.customer)

    def let_through(self, attempt: Attempt) -> None:
        """`attempt` goes to its provider."""
        if attempt.decline_code is None:
            self._never_joined.discard(attempt.customer)

    def _happens(self, fact: Fact) -> bool:
        attempt = fact.attempt
        if fact.kind is FactKind.DISPUTE_OPENED and fact.dispute is not None:
            case = self._cases[fact.dispute.id]
            case.opened, case.over = attempt.id not in self._given_back, attempt.id in self._given_back
            if case.over:
                return False
        billed = attempt.initiator is Initiator.MERCHANT
        return attempt.id not in self._turned_away and not (billed and attempt.customer in self._never_joined)

    def luck_of(self, dispute_id: str) -> float:
        """A number in [0, 1) that belongs to the dispute: how soon its people act."""
        return random.Random(f"team:{self._seed}:{dispute_id}").random()

    # -- time ---------------------------------------------------------------------------------------------------

    def _later(self, at: datetime, act: Act | Fact) -> None:
        heapq.heappush(self._heap, _Entry(at, next(self._order), act))

    def _tell(
        self,
        kind: FactKind,
        attempt: Attempt,
        at: datetime,
        amount: Money | None = None,
        refund_id: str | None = None,
        dispute: SimulatedDispute | None = None,
    ) -> None:
        self._later(at, Fact(kind=kind, attempt=attempt, at=at, amount=amount, refund_id=refund_id, dispute=dispute))

    def _live_a_day(self, midnight: datetime) -> None:
        """Everything that begins on this day; what follows from it schedules itself."""
        if midnight >= self.traffic_end:
            return
        for rate, begin in (
            (self.scale.signups, self._sign_up),
            (self.scale.gifts, self._buy_a_gift),
            (self.scale.upgrades, self._upgrade),
            (self.scale.stolen_cards, self._use_a_stolen_card),
            (self.scale.testing_bursts, self._test_cards),
            (self.scale.takeovers, self._take_over),
            (self.scale.trial_abusers, self._abuse_trials),
        ):
            for _ in range(self._how_many(rate)):
                self._later(midnight + self._time_of_day(), begin)
        self._later(midnight + DAY, self._live_a_day)

    def _time_of_day(self) -> timedelta:
        hour = self._rng.choices(range(24), _HOURS)[0]
        return hour * HOUR + self._rng.randrange(3600) * SECOND

    def _how_many(self, rate: float) -> int:
        """Poisson by counting exponential waits; rates here are small."""
        count, waited = 0, self._rng.expovariate(1.0)
        while waited < rate:
            count, waited = count + 1, waited + self._rng.expovariate(1.0)
        return count

    # -- honest life --------------------------------------------------------------------------------------------

    def _sign_up(self, at: datetime) -> None:
        customer = self._new_customer()
        trial = self._rng.random() < 0.35
        if self._pay_in_person(customer, at, _price(customer, trial=trial), "trial" if trial else "monthly"):
            self._bill_from(customer, at + (7 * DAY if trial else 28 * DAY), own_day=not trial)

    def _upgrade(self, at: datetime) -> None:
        customer = self._anyone()
        if not customer.premium and not customer.canceled:
            customer.premium = True
            difference = customer.country.premium - customer.country.monthly
            self._pay_in_person(customer, at, difference, "upgrade")

    def _buy_a_gift(self, at: datetime) -> None:
        """By subscribers and by strangers; sometimes several at once, as before a holiday."""
        customer = self._anyone() if self._rng.random() < 0.6 else self._new_customer()
        for count in range(self._rng.choices((1, 2, 3), (80, 14, 6))[0]):
            amount = self._rng.choices(customer.country.gifts, (45, 35, 20))[0]
            self._pay_in_person(customer, at + count * 4 * MINUTE, amount, "gift")

    def _bill_from(self, customer: Customer, at: datetime, *, own_day: bool = True) -> None:
        """Renewals from `at` on: on one of the bunched days, or (`own_day` drawn) on the day of signing up."""
        if own_day and self._rng.random() < 0.68:
            day = _pick(self._rng, _BILLING_DAYS)
            at = at.replace(day=day) if at.day <= day else (at.replace(day=1) + 32 * DAY).replace(day=day)
        elif at == self.start:
            at += self._rng.randrange(30) * DAY
        due = at.replace(hour=_RENEWAL_HOUR, minute=0, second=0) + self._rng.randrange(5400) * SECOND
        self._later(due, lambda now: self._renew(customer, now))

    def _renew(self, customer: Customer, at: datetime) -> None:
        if customer.canceled or at >= self.traffic_end:
            return
        if self._rng.random() < 0.012:
            customer.canceled = True
            return
        if self._rng.random() < 0.01:  # the bank sent a new card and the provider updated it
            customer.card = self._new_card(customer.country)
        self._charge_renewal(customer, at, retry=0)
        month = (at.replace(day=1) + 32 * DAY).replace(day=min(at.day, 28))
        self._later(month, lambda now: self._renew(customer, now))

    def _charge_renewal(self, customer: Customer, at: datetime, retry: int) -> None:
        """A charge without the customer, and its dunning: soft declines are tried again, hard ones need a new card."""
        if customer.canceled:
            return
        amount = _price(customer)
        decline = None
        if self._rng.random() < (0.07 if retry == 0 else 0.5):
            decline = _pick(self._rng, _HARD_DECLINES if self._rng.random() < 0.15 else _SOFT_DECLINES)
        attempt = self._attempt(customer, at, amount, "renewal", Initiator.MERCHANT, decline=decline)
        if decline is None:
            self._succeed(customer, attempt)
            return
        self._tell(FactKind.DECLINED, attempt, at)
        if decline in dict(_HARD_DECLINES):
            if self._rng.random() < 0.6:
                self._later(
                    at + _between(self._rng, 6 * HOUR, 4 * DAY), lambda now: self._pay_with_new_card(customer, now)
                )
            else:
                customer.canceled = True
        elif retry < len(_DUNNING):
            self._later(at + _DUNNING[retry], lambda now: self._charge_renewal(customer, now, retry + 1))
        else:
            customer.canceled = True

    def _pay_with_new_card(self, customer: Customer, at: datetime) -> None:
        customer.card = self._new_card(customer.country)
        self._pay_in_person(customer, at, _price(customer), "renewal")

    def _pay_in_person(self, customer: Customer, at: datetime, amount: int, plan: str) -> bool:
        """The customer at a device, who tries again after a decline, at times with another card."""
        device, ip = self._surroundings(customer)
        for number in range(3):
            declined = self._rng.random() < (0.05 if number == 0 else 0.35)
            wrong_cvv = declined and self._rng.random() < 0.25
            decline = ("incorrect_cvc" if wrong_cvv else _pick(self._rng, _SOFT_DECLINES)) if declined else None
            attempt = self._attempt(
                customer,
                at,
                amount,
                plan,
                Initiator.CUSTOMER,
                decline=decline,
                device=device,
                ip=ip,
                three_d_secure=self._rng.random() < (0.6 if customer.country.sca else 0.12),
                cvv_matches=not wrong_cvv,
            )
            if decline is None:
                self._succeed(customer, attempt)
                return True
            self._tell(FactKind.DECLINED, attempt, at)
            if self._rng.random() < 0.35:
                return False
            at += _between(self._rng, 20 * SECOND, 6 * MINUTE)
            if self._rng.random() < 0.3:
                customer.card = self._new_card(customer.country)
        return False

    def _surroundings(self, customer: Customer) -> tuple[str, str]:
        """A device and an address: mostly the usual ones, now and then a new phone, a trip, a VPN."""
        roll = self._rng.random()
        if roll < 0.05:
            customer.devices.append(self._new_device())
            return customer.devices[-1], self._rng.choice(customer.addresses)
        if roll < 0.09:
            elsewhere = BY_CODE[self._rng.choice([c.code for c in self._countries])]
            return self._rng.choice(customer.devices), self._new_address(elsewhere)
        if roll < 0.11:
            return self._rng.choice(customer.devices), self._proxy()
        return self._rng.choice(customer.devices), self._rng.choice(customer.addresses)

    def _succeed(self, customer: Customer, attempt: Attempt) -> None:
        """Authorization and capture of an honest payment, and what may come of it."""
        denied = self._chance_of_denial(customer, attempt.at)
        self._denial[attempt.id] = denied * (1 - GIFTS_RELEASED if attempt.plan == "gift" else 1)
        if not self._authorize_and_capture(attempt):
            return
        roll = self._rng.random()
        scale = self.scale
        if roll < denied:
            self.truth[attempt.id] = Fraud.FRIENDLY
            delay = self._delay(12.0, 5.0, 40.0)
            customer.denied_at = max(customer.denied_at or attempt.at, attempt.at + delay)
            self._dispute(attempt, DisputeReason.FRAUD, delay)
            return
        roll -= denied
        if roll < scale.complaint_share:
            self._dispute(attempt, self._rng.choice(SERVICE_REASONS), self._delay(14.0, 4.0, 40.0))
            return
        roll -= scale.complaint_share
        if roll < scale.refund_share:
            self._refund(attempt, attempt.at + self._delay(3.0, 0.05, 14.0))

    def _chance_of_denial(self, customer: Customer, at: datetime) -> float:
        denied_at = customer.denied_at
        again = denied_at is not None and denied_at <= at < denied_at + DENIES_AGAIN_WITHIN
        return self.scale.denies_again if again else self.scale.friendly_share

    def _authorize_and_capture(self, attempt: Attempt) -> bool:
        """False where the customer thought better of a gift, and the authorization was released."""
        self._tell(FactKind.AUTHORIZED, attempt, attempt.at)
        if attempt.plan == "gift" and attempt.id not in self.truth and self._rng.random() < GIFTS_RELEASED:
            self._tell(FactKind.CANCELED, attempt, attempt.at + _between(self._rng, 10 * MINUTE, 20 * HOUR))
            return False
        self._tell(FactKind.CAPTURED, attempt, attempt.at + _between(self._rng, 1 * SECOND, 40 * SECOND))
        if self._rng.random() < self.scale.other_events_share:
            self._tell(FactKind.UNKNOWN_TYPE, attempt, attempt.at + _between(self._rng, MINUTE, HOUR))
        return True

    def _refund(self, attempt: Attempt, at: datetime) -> None:
        """Mostly all of it; else a part, and at times a second part."""
        whole = attempt.amount
        if self._rng.random() < 0.75:
            self._tell(FactKind.REFUNDED, attempt, at, whole, f"{attempt.id}-r1")
            return
        step = 10 if whole.currency == "KWD" else 1
        part = Money(max(step, whole.minor * self._rng.choice((20, 30, 50)) // 100 // step * step), whole.currency)
        self._tell(FactKind.REFUNDED, attempt, at, part, f"{attempt.id}-r1")
        if self._rng.random() < 0.3:
            self._tell(FactKind.REFUNDED, attempt, at + self._delay(1.0, 0.1, 5.0), part, f"{attempt.id}-r2")

    # -- fraud --------------------------------------------------------------------------------------------------

    def _use_a_stolen_card(self, at: datetime) -> None:
        """One stolen card in fresh accounts: gifts that can be sold on, over hours to days, while it works."""
        ring = self._a_ring(addresses=2, share_disposable=0.4)
        owner = self._country()
        card = self._new_card(owner)
        country = owner if self._rng.random() < 0.6 else self._country()
        customer = self._fraudster(country, card, ring)
        for _ in range(self._rng.choices((1, 2, 3, 4, 5), (25, 25, 22, 18, 10))[0]):
            amount = self._rng.choices((*country.gifts, country.premium), (20, 30, 25, 25))[0]
            wrong_cvv = self._rng.random() < 0.12
            burned = wrong_cvv or self._rng.random() < 0.18
            attempt = self._attempt(
                customer,
                at,
                amount,
                "monthly" if amount == country.premium else "gift",
                Initiator.CUSTOMER,
                decline=("incorrect_cvc" if wrong_cvv else _pick(self._rng, _FRAUD_DECLINES)) if burned else None,
                device=self._rng.choice(ring.devices),
                ip=self._rng.choice(ring.addresses),
                three_d_secure=self._rng.random() < 0.04,
                cvv_matches=not wrong_cvv,
                fraud=Fraud.STOLEN_CARD,
            )
            self._settle_fraud(attempt, warned=0.5, disputed=0.75)
            if burned and self._rng.random() < 0.5:
                return
            at += _between(self._rng, 2 * MINUTE, 9 * HOUR) if self._rng.random() < 0.7 else self._delay(1.0, 0.3, 3.0)

    def _test_cards(self, at: datetime) -> None:
        """Many cards, one machine, small amounts, minutes: which of them work?"""
        ring = self._a_ring(addresses=self._rng.choice((1, 1, 3)), share_disposable=0.6)
        country = self._country()
        for _ in range(self._rng.randrange(8, 22)):
            customer = self._fraudster(country, self._new_card(self._country()), ring)
            refused = self._rng.random() < 0.65
            attempt = self._attempt(
                customer,
                at,
                country.trial,
                "trial",
                Initiator.CUSTOMER,
                decline=_pick(self._rng, _TESTING_DECLINES) if refused else None,
                device=self._rng.choice(ring.devices),
                ip=self._rng.choice(ring.addresses),
                cvv_matches=not refused or self._rng.random() < 0.5,
                fraud=Fraud.CARD_TESTING,
            )
            self._settle_fraud(attempt, warned=0.6, disputed=0.5)
            at += _between(self._rng, 8 * SECOND, 70 * SECOND)

    def _take_over(self, at: datetime) -> None:
        """A known customer's account and card on a machine never seen with them, buying what can be sold on."""
        victim = self._anyone()
        ring = self._a_ring(addresses=1, share_disposable=0.0)
        for _ in range(self._rng.choices((1, 2, 3), (30, 45, 25))[0]):
            refused = self._rng.random() < 0.12
            attempt = self._attempt(
                victim,
                at,
                self._rng.choices(victim.country.gifts, (20, 40, 40))[0],
                "gift",
                Initiator.CUSTOMER,
                decline=_pick(self._rng, _FRAUD_DECLINES) if refused else None,
                device=ring.devices[0],
                ip=ring.addresses[0],
                three_d_secure=self._rng.random() < 0.04,
                cvv_matches=True,
                fraud=Fraud.ACCOUNT_TAKEOVER,
            )
            self._settle_fraud(attempt, warned=0.45, disputed=0.8)
            at += _between(self._rng, 2 * MINUTE, 40 * MINUTE)

    def _abuse_trials(self, at: datetime) -> None:
        """One person, one machine, several accounts with prepaid cards, to stay on trial. Nobody disputes it."""
        country = self._country()
        ring = _Ring((self._new_device(),), (self._new_address(country),), DISPOSABLE_MAIL)
        for _ in range(self._rng.randrange(2, 6)):
            customer = self._fraudster(country, replace(self._new_card(country), funding="prepaid"), ring)
            attempt = self._attempt(
                customer,
                at,
                country.trial,
                "trial",
                Initiator.CUSTOMER,
                device=ring.devices[0],
                ip=ring.addresses[0],
                cvv_matches=True,
                fraud=Fraud.TRIAL_ABUSE,
            )
            self._settle_fraud(attempt, warned=0.0, disputed=0.0)
            at += _between(self._rng, 6 * HOUR, 6 * DAY)

    def _settle_fraud(self, attempt: Attempt, warned: float, disputed: float) -> None:
        """The payment, then its news: the issuer's warning within days, the cardholder's dispute within weeks."""
        if attempt.decline_code is not None:
            self._tell(FactKind.DECLINED, attempt, attempt.at)
            return
        self._authorize_and_capture(attempt)
        if self._rng.random() < warned:
            self._tell(FactKind.FRAUD_WARNED, attempt, attempt.at + self._delay(4.0, 0.5, 20.0))
        if self._rng.random() < disputed:
            self._dispute(attempt, DisputeReason.FRAUD, self._delay(9.0, 2.0, 35.0))

    # -- disputes -----------------------------------------------------------------------------------------------

    def _dispute(self, attempt: Attempt, reason: DisputeReason, delay: timedelta) -> None:
        at = attempt.at + delay
        if at + 20 * DAY > self.end:  # its deadline would lie beyond the end of the story
            return
        luck = random.Random(f"dispute:{self._seed}:{attempt.id}")
        days = luck.randrange(7, 21)
        inquiry = attempt.provider == "paypal" and reason is not DisputeReason.FRAUD and luck.random() < 0.5
        dispute = SimulatedDispute(
            id=f"dp-{attempt.id}",
            stage=DisputeStage.INQUIRY if inquiry else DisputeStage.CHARGEBACK,
            reason=reason,
            reason_code=REASON_CODES[reason][attempt.card.network],
            respond_by=at + days * DAY - luck.randrange(8) * HOUR,
        )
        self._cases[dispute.id] = _Case(attempt, dispute, luck)
        self._tell(FactKind.DISPUTE_OPENED, attempt, at, attempt.amount, dispute=dispute)
        assert dispute.respond_by is not None
        self._later(dispute.respond_by + 12 * HOUR, lambda now: self._close_unanswered(dispute.id, now))

    def _close_unanswered(self, dispute_id: str, at: datetime) -> None:
        case = self._cases[dispute_id]
        if not case.answered and not case.over:
            case.over = True
            self._tell(FactKind.DISPUTE_LOST, case.attempt, at, dispute=case.dispute)

    def _delay(self, median_days: float, least: float, most: float) -> timedelta:
        """Log-normal, as label delays are: most news within days, a long tail, bounded to keep the story finite."""
        days = min(most, max(least, median_days * self._rng.lognormvariate(0.0, 0.7)))
        return round(days * 86_400) * SECOND

    # -- things and people --------------------------------------------------------------------------------------

    def _attempt(
        self,
        customer: Customer,
        at: datetime,
        minor: int,
        plan: str,
        initiator: Initiator,
        *,
        decline: str | None = None,
        device: str | None = None,
        ip: str | None = None,
        three_d_secure: bool = False,
        cvv_matches: bool | None = None,
        fraud: Fraud | None = None,
    ) -> Attempt:
        attempt = Attempt(
            id=f"a{len(self.attempts) + 1:06d}",
            provider=customer.provider,
            at=at,
            amount=Money(minor, customer.country.currency),
            customer=customer.id,
            email=customer.email,
            card=customer.card,
            device=device,
            ip=ip,
            country=customer.country.code,
            initiator=initiator,
            three_d_secure=three_d_secure,
            cvv_matches=cvv_matches,
            decline_code=decline,
            plan=plan,
        )
        self.attempts.append(attempt)
        if fraud is not None:
            self.truth[attempt.id] = fraud
        return attempt

    def _providers_of(self, country: Country) -> tuple[tuple[str, int], ...]:
        return tuple((name, weight) for name, weight in self._providers if country.code in SELLS_IN.get(name, BY_CODE))

    def _country(self) -> Country:
        return self._rng.choices(self._countries, [country.weight for country in self._countries])[0]

    def _new_customer(self) -> Customer:
        country = self._country()
        number = next(self._names)
        home = self._new_address(country)
        # A carrier puts a whole country behind a few addresses.
        carrier = f"198.18.{country.network}.{self._rng.randrange(1, 4)}"
        customer = Customer(
            id=f"c{number:06d}",
            country=country,
            provider=_pick(self._rng, self._providers_of(country)),
            email=f"person{number}@{_pick(self._rng, MAIL)}",
            card=self._new_card(country),
            devices=[self._new_device() for _ in range(self._rng.choice((1, 1, 2)))],
            addresses=[home, carrier] if self._rng.random() < 0.55 else [home],
            premium=self._rng.random() < 0.2,
        )
        self._customers.append(customer)
        return customer

    def _fraudster(self, country: Country, card: SimulatedCard, ring: _Ring) -> Customer:
        """An account made for fraud: never billed again, never picked as anyone's victim."""
        number = next(self._names)
        return Customer(
            id=f"c{number:06d}",
            country=country,
            provider=_pick(self._rng, self._providers_of(country)),
            email=f"person{number}@{self._rng.choice(ring.mail)}",
            card=card,
            devices=list(ring.devices),
            addresses=list(ring.addresses),
        )

    def _a_ring(self, addresses: int, share_disposable: float) -> _Ring:
        return _Ring(
            devices=tuple(self._new_device() for _ in range(self._rng.choice((1, 1, 2)))),
            addresses=tuple(
                self._proxy() if self._rng.random() < 0.6 else self._new_address(self._country())
                for _ in range(addresses)
            ),
            mail=DISPOSABLE_MAIL if self._rng.random() < share_disposable else tuple(domain for domain, _ in MAIL),
        )

    def _anyone(self) -> Customer:
        return self._rng.choice(self._customers)

    def _new_device(self) -> str:
        return f"dev-{self._rng.getrandbits(48):012x}"

    def _new_address(self, country: Country) -> str:
        return f"198.{self._rng.choice((18, 19))}.{country.network + self._rng.randrange(1, 20)}.{self._rng.randrange(1, 255)}"

    def _proxy(self) -> str:
        return f"198.18.{PROXY_NETWORK + self._rng.randrange(3)}.{self._rng.randrange(1, 60)}"

    def _new_card(self, country: Country) -> SimulatedCard:
        network = _pick(self._rng, NETWORKS)
        return SimulatedCard(
            token=f"card-{self._rng.getrandbits(56):014x}",
            bin=self._rng.choice(BINS[network]),
            last4=f"{self._rng.randrange(10_000):04d}",
            network=network,
            country=country.code,
            funding=self._rng.choices(("credit", "debit", "prepaid"), (48, 47, 5))[0],
        )


def _price(customer: Customer, *, trial: bool = False) -> int:
    country = customer.country
    if trial:
        return country.trial
    return country.premium if customer.premium else country.monthly


def _pick(rng: random.Random, weighted: Sequence[tuple[T, int]]) -> T:
    return rng.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def _between(rng: random.Random, least: timedelta, most: timedelta) -> timedelta:
    """Whole seconds, evenly."""
    return rng.randrange(int(least.total_seconds()), int(most.total_seconds()) + 1) * SECOND
