"""A payout explained: what a provider paid us is the sum of lines, and of a rest that nobody explains.

For one payout, in its currency and to the minor unit:

    paid = captures + refunds + disputes + fees + reserves + corrections + transfers + rest

What takes money from us is negative. A line whose kind we do not know is no explanation: its money is in the rest, under
the provider's own word. So the sum holds whatever a provider sends, and the rest says how much of it we cannot tell.

What is read is a set: each line that has an id counts once, and a page of lines without ids once under what it was asked for by,
so that any order and any repetition gives the same totals. A later reading of the same payout takes the place of an earlier one as a whole,
which is how lines that come late and corrected reports count.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.money import Money

LINES_EACH = 5000
"""Lines that one row carries, of one kind and currency: some 300 kB of JSON."""

LISTED = 20
"""Words, currencies and names that a payout's document holds of each sort."""


class LineKind(StrEnum):
    """What a line of a payout is for."""

    CAPTURE = "capture"
    REFUND = "refund"  # and what came back of one
    DISPUTE = "dispute"  # and what was won back
    FEE = "fee"  # taxes on fees too
    RESERVE = "reserve"  # held back, or released
    CORRECTION = "correction"  # booked by hand, invoices, roundings
    TRANSFER = "transfer"  # from and to other balances of ours: earlier payouts, top-ups, what a bank sent back
    UNKNOWN = "unknown"  # in a word of the provider's that we do not know
    PAYOUT = "payout"  # the payment to our bank: what is explained, and no explanation


OF_PAYMENTS = frozenset({LineKind.CAPTURE, LineKind.REFUND})
"""Lines that are to be found among our events; a dispute's money moves at times that events do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """One line of a payout.

    moved: minor units of `currency`, the payout's, that it adds to what is paid. hundredths: what it adds beyond those, in hundredths
    of one (GoCardless and Mollie keep fees so). fee: what the provider keeps of it, in minor units. charged: the same money in the currency in which the customer paid, where that is told: the other
    leg of an exchange. reference: the provider's id of the payment, capture or refund, as an event names it. line_id: what
    makes two lines one; None where the provider gives none, and a page is read as a whole. word: the provider's own, for people.
    lines: how many it stands for, where the provider tells sums.
    """

    kind: LineKind
    moved: int
    currency: str
    hundredths: int = 0
    fee: int = 0
    charged: Money | None = None
    reference: str | None = None
    line_id: str | None = None
    word: str = ""
    lines: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOut:
    """A payout as its provider lists it, before its lines are read. currency, paid: what it comes to, in
    minor units; None where only its lines tell, which may then be of several payouts, one a currency. arrives: what the bank
    gets, where it is exchanged on its way there. told_at: of one that is heard of, when its provider last said that it can be read: a
    corrected report has the same name."""

    provider: str
    account: str
    payout_id: str
    paid_at: datetime
    status: str
    currency: str | None = None
    paid: int | None = None
    arrives: Money | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of payouts. after: what the next page is asked for by; None: this is the last."""

    payouts: tuple[PaidOut, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A page of a payout's lines, which may be read once, as they come. after: what is asked for next; None: this is the
    last. waits: the provider prepares that, and is to be asked at a later run."""

    found: Iterable[PayoutLine] = ()
    after: str | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutTotal:
    """All lines of one kind: minor units of the payout's currency."""

    kind: LineKind
    minor: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The other leg: what customers paid in another currency than the payout's, and what that came to in it."""

    currency: str
    charged: int
    moved: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedLine:
    """A line that has to be one of our payments. minor: as the customer was charged."""

    reference: str
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutExplained:
    """A row of the warehouse's `payouts`: the payout as it was read at `read_at`, in part 0, and in the other parts the lines
    that have to be payments of ours. Of two readings the later one is right; a part without its part 0 is of a
    reading that broke off.

    row_id: of the payout and the part. paid, rest: minor units of `currency`, and what of it no line explains, in part 0.
    rest_since: since when there has been a rest. kind, charged_in: of all `lines` of a part, and the currency in which they were charged.
    """

    row_id: str
    provider: str
    account: str
    payout_id: str
    part: int
    paid_at: datetime
    read_at: datetime
    status: str
    currency: str
    paid: int | None = None
    rest: int | None = None
    rest_since: datetime | None = None
    totals: tuple[PayoutTotal, ...] = ()
    exchanged: tuple[Exchanged, ...] = ()
    kind: LineKind | None = None
    charged_in: str | None = None
    lines: tuple[LinkedLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlinked:
    """Lines of one kind that are no payment of ours, or one with another amount. minor: as customers were charged, in
    `currency`. example: the first of them by name."""

    kind: LineKind
    why: str  # unknown, other_amount
    currency: str
    minor: int
    lines: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """The document of a payout, `payouts/<provider>:<account>:<payout id>`.

    waits_for: what the provider prepares for us, to be asked for at the next run; then nothing is read yet. unread_since: since when
    it is to be read, and is not. forgone: somebody has said that it will not be. told_at: `PaidOut.told_at` as it was when it was
    last asked for. read_at: of the reading that is told. currencies: where one report tells several payouts, a currency each, their documents have these
    after the id (`<id>/EUR`), and this one says only that it was read. rest_since: None too
    of a rest that somebody has `accepted`, who knows what it is; another rest than that one ages anew. words: the provider's words that we do not know, and their money. unlinked: what the
    warehouse did not find among our events, as of `linked_at`.
    """

    provider: str
    account: str
    payout_id: str
    paid_at: datetime
    status: str
    heard_at: datetime
    waits_for: str | None = None
    unread_since: datetime | None = None
    forgone: bool = False
    told_at: datetime | None = None
    read_at: datetime | None = None
    currencies: tuple[str, ...] = ()
    currency: str = ""
    paid: int = 0
    arrives: Money | None = None
    rest: int = 0
    rest_since: datetime | None = None
    accepted: int | None = None
    totals: tuple[PayoutTotal, ...] = ()
    exchanged: tuple[Exchanged, ...] = ()
    words: Mapping[str, int] = field(default_factory=dict)
    lines: int = 0
    linked_at: datetime | None = None
    unlinked: tuple[Unlinked, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.provider, self.account, self.payout_id)


def name_of(provider: str, account: str, payout_id: str) -> str:
    return f"{provider}:{account}:{payout_id}"


@dataclass(slots=True)
class Reading:
    """Totals of the lines of one payout, all in `currency`, as its pages come. paid_out: what lines say went to our bank."""

    currency: str
    paid_out: int = 0
    _lines: set[bytes] = field(default_factory=set)
    _hundredths: dict[LineKind, int] = field(default_factory=dict)
    _counts: dict[LineKind, int] = field(default_factory=dict)
    _exchanged: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _words: dict[str, int] = field(default_factory=dict)

    def add(self, line: PayoutLine) -> Money | None:
        """Count `line`; answers as what it has to be a payment of ours, the first time: None for what has not to be one."""
        if line.line_id is not None:
            known = hashlib.sha256(line.line_id.encode()).digest()[:12]
            if known in self._lines:
                return None
            self._lines.add(known)
        if line.kind is LineKind.PAYOUT:
            self.paid_out -= line.moved
            return None
        hundredths = 100 * line.moved + line.hundredths
        self._hundredths[line.kind] = self._hundredths.get(line.kind, 0) + hundredths
        self._counts[line.kind] = self._counts.get(line.kind, 0) + line.lines
        if line.fee:
            self._hundredths[LineKind.FEE] = self._hundredths.get(LineKind.FEE, 0) - 100 * line.fee
        if line.kind is LineKind.UNKNOWN:
            self._words[line.word] = self._words.get(line.word, 0) + line.moved
        if line.charged is not None and line.charged.currency != self.currency:
            charged, moved, lines = self._exchanged.get(line.charged.currency, (0, 0, 0))
            self._exchanged[line.charged.currency] = (
                charged + line.charged.minor,
                moved + line.moved,
                lines + line.lines,
            )
        if line.reference is None or line.kind not in OF_PAYMENTS:
            return None
        return line.charged or Money(line.moved, self.currency)

    @property
    def totals(self) -> tuple[PayoutTotal, ...]:
        """By kind, in minor units: of all that explains something the sum is rounded, once, as providers do who keep more digits,
        and what that leaves between it and the sums of each kind is a correction."""
        minor = {kind: _rounded(hundredths) for kind, hundredths in self._hundredths.items()}
        explaining = [kind for kind in minor if kind is not LineKind.UNKNOWN]
        rounding = _rounded(sum(self._hundredths[kind] for kind in explaining)) - sum(
            minor[kind] for kind in explaining
        )
        if rounding:
            minor[LineKind.CORRECTION] = minor.get(LineKind.CORRECTION, 0) + rounding
        return tuple(
            PayoutTotal(kind=kind, minor=minor[kind], lines=self._counts.get(kind, 0))
            for kind in LineKind
            if kind in minor
        )

    @property
    def exchanged(self) -> tuple[Exchanged, ...]:
        return tuple(
            Exchanged(currency=currency, charged=charged, moved=moved, lines=lines)
            for currency, (charged, moved, lines) in sorted(self._exchanged.items())
        )

    @property
    def words(self) -> dict[str, int]:
        """The unknown words with the most money."""
        ranked = sorted(self._words.items(), key=lambda one: (-abs(one[1]), one[0]))
        return dict(ranked[:LISTED])

    @property
    def lines(self) -> int:
        return sum(self._counts.values())


def _rounded(hundredths: int) -> int:
    """The nearest whole; of two the greater one."""
    return (hundredths + 50) // 100


def explained(totals: Iterable[PayoutTotal]) -> int:
    """What of a payout its lines explain: minor units of its currency."""
    return sum(total.minor for total in totals if total.kind is not LineKind.UNKNOWN)


def rest_of(paid: int, totals: Iterable[PayoutTotal]) -> int:
    """What of `paid` no line explains."""
    return paid - explained(totals)
