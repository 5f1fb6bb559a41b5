"""What providers paid is explained to the minor unit, and what no line explains is kept and ages."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.domain.api import ApiRequest
from shared.domain.codec import encode_event, from_document
from shared.domain.errors import Rejected
from shared.domain.events import PaymentStep
from shared.domain.money import Money
from shared.domain.payouts import LineKind, Payout, explained
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.telemetry import told_instead
from shared.flows import explain_payouts as flow
from shared.flows.apis import Streamed
from shared.flows.explain_payouts import (
    AGAIN,
    MAY_REST,
    TRIED_FOR,
    PayoutReader,
    accept_rest,
    accept_unpaid,
    explain_payouts,
)
from shared.flows.payout_links import SETTLED_WITHIN
from shared.flows.ports import Ports
from shared.flows.pseudonyms import PseudonymousBus
from shared.operations.payouts import not_paid, with_unread
from shared.providers import load_payouts, names
from tests.builders import a_payment_event, a_payout_event
from tests.local import local_ports, published
from tests.simulator.payouts import Book, Desk, Movement

NOON = datetime.fromisoformat("2026-11-25T12:00:00+00:00")
DAY = timedelta(days=1)
REPORT = "settlement_detail_report_batch_7.csv"

# Each provider's own words, and ids of its payouts.
WORDS: dict[str, dict[LineKind, str]] = {
    "stripe": {
        LineKind.CAPTURE: "charge",
        LineKind.REFUND: "refund",
        LineKind.DISPUTE: "dispute",
        LineKind.RESERVE: "risk_reserved_funds",
    },
    "adyen": {
        LineKind.CAPTURE: "Settled",
        LineKind.REFUND: "Refunded",
        LineKind.DISPUTE: "Chargeback",
        LineKind.RESERVE: "DepositCorrection",
    },
    "square": {
        LineKind.CAPTURE: "CHARGE",
        LineKind.REFUND: "REFUND",
        LineKind.DISPUTE: "DISPUTE",
        LineKind.RESERVE: "HOLD_ADJUSTMENT",
    },
    "gocardless": {
        LineKind.CAPTURE: "payment_paid_out",
        LineKind.REFUND: "refund",
        LineKind.DISPUTE: "payment_charged_back",
    },
    "mollie": {LineKind.CAPTURE: "creditcard", LineKind.REFUND: "refund", LineKind.DISPUTE: "chargeback"},
    "razorpay": {LineKind.CAPTURE: "payment", LineKind.REFUND: "refund", LineKind.CORRECTION: "adjustment"},
}
IDS = {
    "stripe": "po1",
    "adyen": REPORT,
    "square": "po_1",
    "gocardless": "PO001",
    "mollie": "stl_abc1",
    "razorpay": "setl_1",
}
UNKNOWN = {
    "stripe": "climate",
    "adyen": "Novelty",
    "square": "ESCHEATMENT",
    "gocardless": "novelty",
    "razorpay": "novelty",
}
PROVIDERS = sorted(WORDS)
NAMED = [name for name in PROVIDERS if name != "mollie"]


@dataclass
class World:
    """A business with one provider. Everything that is published lands in the warehouse, as subscriptions do."""

    ports: Ports
    desk: Desk
    now: datetime = NOON
    livemode: bool = False

    def __post_init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.readers = {self.desk.provider: cast(PayoutReader, load_payouts(self.desk.provider))}

    def event(self, **members: Any) -> None:
        self.ports.warehouse.append(
            "payment_events", [json.loads(encode_event(a_payment_event(provider=self.desk.provider, **members)))]
        )

    def run(self, **asked: Any) -> None:
        def hear(level: int, event: str, fields: Any) -> None:
            self.heard.append((event, dict(fields)))

        bus = PseudonymousBus(self.ports.bus, DEVELOPMENT)
        parameters = json.dumps(asked).encode()
        with told_instead(hear):
            explain_payouts(
                self.ports, bus, self.readers, lambda _: self.desk, self.now, parameters, livemode=self.livemode
            )
        self.rows = published(self.ports, "payouts")
        self.ports.warehouse.append("payouts", self.rows)

    def settled(self) -> Payout:
        """Runs until the payout was read."""
        for _ in range(4):
            self.run()
            found = [one for one in self.payouts() if one.currency]
            if found:
                return found[0]
        raise AssertionError("nothing was read")

    def payouts(self) -> list[Payout]:
        return [from_document(one.document, Payout) for one in self.ports.documents.scan("payouts", 1000)]

    def alarms(self, event: str) -> list[dict[str, Any]]:
        found = [fields for name, fields in self.heard if name == event]
        self.heard.clear()
        return found


def a_book(provider: str, *, unsaid: int = 0, currency: str | None = None) -> Book:
    words = WORDS[provider]
    movements = [
        Movement(words[LineKind.CAPTURE], 1999, 87, "ch_a"),
        Movement(words[LineKind.CAPTURE], 999, 45, "ch_b"),
        Movement(words[LineKind.REFUND], -500, 0, "re_a"),
    ]
    extra = {LineKind.DISPUTE: -999, LineKind.RESERVE: -100, LineKind.CORRECTION: 7}
    movements += [Movement(words[kind], minor) for kind, minor in extra.items() if kind in words]
    used = currency or ("INR" if provider == "razorpay" else "EUR")
    return Book(IDS[provider], NOON - timedelta(hours=5), movements, used, unsaid)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def made(provider: str, *books: Book) -> World:
        desk = Desk(provider, list(books), pending=1 if provider == "stripe" else 0)
        world = World(local_ports(tmp_path / provider), desk)
        if provider == "adyen":
            heard = a_payout_event(
                provider="adyen",
                account="main",
                payout_id=REPORT,
                status="report_available",
                occurred_at=NOON - timedelta(hours=5),
            )
            world.ports.warehouse.append("payment_events", [json.loads(encode_event(heard))])
        return world

    return made


def test_each_module_that_explains_payouts_is_tried_here() -> None:
    assert [name for name in names() if load_payouts(name)] == PROVIDERS


def test_a_run_says_that_it_asked_also_where_nothing_was_paid_out(make: Any) -> None:
    world = make("gocardless")
    world.run()
    assert world.heard[-1] == ("payouts_asked", {"providers": 1})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_payout_is_explained_to_the_minor_unit_by_kind(provider: str, make: Any) -> None:
    book = a_book(provider)
    found = make(provider, book).settled()
    totals = {one.kind: one.minor for one in found.totals}
    words = {word: kind for kind, word in WORDS[provider].items()}
    wanted: dict[LineKind, int] = {LineKind.FEE: -132}
    for move in book.movements:
        kind = words[move.word]
        wanted[kind] = wanted.get(kind, 0) + move.gross
    assert {kind: minor for kind, minor in totals.items() if minor} == wanted
    assert (found.paid, found.rest, found.rest_since, found.currency) == (book.paid, 0, None, book.currency)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_no_line_explains_is_the_rest_since_it_was_seen_and_alarms_when_it_is_old(
    provider: str, make: Any
) -> None:
    world = make(provider, a_book(provider, unsaid=0 if provider == "adyen" else 3))
    if provider == "adyen":  # its payout is an entry of the report: the rest is a word that we do not know
        world.desk.books[0].movements.append(Movement(UNKNOWN[provider], 3))
    found = world.settled()
    assert (found.rest, found.rest_since) == (3, world.now)
    assert explained(found.totals) + found.rest == found.paid
    since = world.now
    world.now += DAY
    world.run()
    assert not world.alarms("payout_unexplained")
    world.now = since + MAY_REST + timedelta(seconds=1)
    world.run()
    [told] = world.alarms("payout_unexplained")
    assert (told["rest"], told["days"], told["payouts"]) == (3, 3, 1)


@pytest.mark.parametrize("provider", [name for name in NAMED if name != "adyen"])
def test_a_word_that_we_do_not_know_explains_nothing_and_is_named(provider: str, make: Any) -> None:
    book = a_book(provider)
    book.movements.append(Movement(UNKNOWN[provider], -250))
    found = make(provider, book).settled()
    assert (found.rest, found.words) == (-250, {UNKNOWN[provider]: -250})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_payout_that_is_explained_is_not_read_again(provider: str, make: Any) -> None:
    world = make(provider, a_book(provider))
    world.settled()
    world.desk.asked.clear()
    world.now += DAY
    world.run()
    assert not [
        one
        for one in world.desk.asked
        if "entries" in one or "items" in one or "report" in one or "recon" in one or "stl_" in one
    ]
    assert world.rows == []


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "adyen"])
def test_lines_that_come_late_and_an_amount_that_is_corrected_count(provider: str, make: Any) -> None:
    book = a_book(provider, unsaid=40)
    world = make(provider, book)
    assert world.settled().rest == 40
    word = WORDS[provider][LineKind.CAPTURE]
    book.unsaid, late = 0, Movement(word, 40, 0, "ch_late")
    book.movements.append(late)
    world.now += AGAIN + timedelta(minutes=1)
    world.run()
    world.run()
    world.run()
    [found] = world.payouts()
    assert (found.rest, found.rest_since) == (0, None)
    book.unsaid = -5  # now the provider says that less was paid
    world.now += timedelta(hours=2)
    for _ in range(3):
        world.run()
    [found] = world.payouts()
    assert (found.rest, found.paid) == (-5, book.paid)


def test_a_report_that_is_not_ready_is_asked_for_at_the_next_run(make: Any) -> None:
    world = make("stripe", a_book("stripe"))
    world.run()
    [waiting] = world.payouts()
    assert (waiting.waits_for, waiting.read_at, world.rows) == ("frr_po1", None, [])
    world.run()  # still pending
    world.run()
    [found] = world.payouts()
    assert (found.waits_for, found.rest, found.read_at) == (None, 0, world.now)
    assert sum(one.startswith("POST") for one in world.desk.asked) == 1


def test_of_one_report_each_currency_is_a_payout(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make("adyen", a_book("adyen"))
    report = world.desk.books[0]
    other = replace(report, currency="USD", payout_id="other", movements=[Movement("Settled", 700, 10, "ch_usd")])
    world.desk.books.append(other)
    first, second = (_rows_of(world.desk, one) for one in (report.payout_id, "other"))
    whole = first + second.split(b"\n", 1)[1]
    monkeypatch.setattr(world.desk, "stream", lambda _: Streamed(200, iter([whole])))
    world.run()
    told = {one.payout_id: (one.currency, one.paid, one.rest) for one in world.payouts() if one.currency}
    assert told == {f"{REPORT}/EUR": ("EUR", report.paid, 0), f"{REPORT}/USD": ("USD", 690, 0)}
    assert {row["payout_id"] for row in world.rows} == set(told)


def _rows_of(desk: Desk, payout_id: str) -> bytes:
    return desk.send(ApiRequest("GET", f"https://x.example/a/{payout_id}", {})).body


def test_both_legs_of_an_exchange_are_kept_and_the_line_is_compared_as_the_customer_paid(make: Any) -> None:
    for provider in ("stripe", "adyen"):
        word = WORDS[provider][LineKind.CAPTURE]
        book = Book(IDS[provider], NOON - timedelta(hours=1), [Movement(word, 920, 20, "ch_usd", Money(1000, "USD"))])
        world = make(provider, book)
        found = world.settled()
        [leg] = found.exchanged
        assert (leg.currency, leg.charged, leg.moved, leg.lines) == ("USD", 1000, 920, 1)
        assert (found.rest, found.paid) == (0, 900)
        [row] = published_rows(world)
        assert (row["kind"], row["charged_in"], row["lines"]) == (
            "capture",
            "USD",
            [{"reference": "ch_usd", "minor": 1000}],
        )


def published_rows(world: World) -> list[dict[str, Any]]:
    return [row for row in world.rows if row["part"]]


def test_lines_travel_in_rows_of_thousands_and_the_totals_in_part_0_after_them(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "LINES_EACH", 2)
    world = make("square", a_book("square"))
    world.settled()
    assert [(row["part"], len(row["lines"])) for row in world.rows] == [(1, 2), (2, 1), (0, 0)]
    assert [row["paid"] for row in world.rows] == [None, None, world.desk.books[0].paid]


@pytest.mark.parametrize("provider", NAMED)
def test_lines_are_payments_of_ours_or_told(provider: str, make: Any) -> None:
    world = make(provider, a_book(provider))
    currency = world.desk.books[0].currency
    known = {"payment_id": "pi_a", "aliases": ("ch_a",), "occurred_at": NOON - 2 * DAY}
    world.event(**known, step=PaymentStep.CAPTURED, amount=Money(1999, currency))
    world.event(
        payment_id="pi_a",
        step=PaymentStep.REFUNDED,
        reference="re_a",
        amount=Money(501, currency),
        occurred_at=NOON - DAY,
    )
    world.settled()
    world.run(link=True)
    [found] = [one for one in world.payouts() if one.currency]
    told = {(one.kind, one.why): (one.minor, one.lines, one.example) for one in found.unlinked}
    assert told == {
        (LineKind.CAPTURE, "unknown"): (999, 1, "ch_b"),
        (LineKind.REFUND, "other_amount"): (-500, 1, "re_a"),
    }
    assert found.linked_at == world.now
    [alarm] = world.alarms("payout_unlinked")
    assert alarm["lines"] == 2


def test_what_was_captured_and_is_in_no_payout_is_the_second_finding(make: Any) -> None:
    world = make("square", a_book("square"))
    old = NOON - SETTLED_WITHIN - DAY
    world.event(payment_id="ch_a", step=PaymentStep.CAPTURED, amount=Money(1999, "EUR"), occurred_at=old)
    world.event(payment_id="ch_lost", step=PaymentStep.CAPTURED, amount=Money(2500, "EUR"), occurred_at=old)
    world.event(payment_id="ch_young", step=PaymentStep.CAPTURED, amount=Money(1, "EUR"), occurred_at=NOON - DAY)
    world.settled()
    world.heard.clear()
    world.run(link=True)
    [told] = world.alarms("captures_unpaid")
    assert (told["payments"], told["minor"], told["payment_id"]) == (1, 2500, "ch_lost")
    assert [one.example for one in not_paid(world.ports.documents).found] == ["ch_lost"]


def test_a_provider_that_pays_nothing_any_more_is_told_of_until_it_pays(make: Any) -> None:
    world = make("square")
    sold = NOON - SETTLED_WITHIN - 2 * DAY
    world.event(payment_id="ch_a", step=PaymentStep.CAPTURED, amount=Money(1999, "EUR"), occurred_at=sold)
    for day in (0, 1, 30, 60):  # long after everything has left the window of a usual look
        world.now = NOON + day * DAY
        world.run()
        [told] = world.alarms("captures_unpaid")
        assert (told["payment_id"], told["days"]) == ("ch_a", 11 + day)
    assert [one.name for one in not_paid(world.ports.documents).found] == ["square:acct_1:EUR"]
    world.desk.books = [replace(a_book("square"), paid_at=world.now - DAY)]
    world.run()
    world.heard.clear()
    world.run(link=True)
    assert not world.alarms("captures_unpaid")
    assert not_paid(world.ports.documents).found == ()


def test_what_is_too_old_to_be_looked_for_stays_unpaid_and_is_counted_once(make: Any) -> None:
    world = make("square")
    for day in (10, 12):
        sold = NOON - day * DAY
        world.event(payment_id=f"p{day}", step=PaymentStep.CAPTURED, amount=Money(100, "EUR"), occurred_at=sold)
    for day in (0, 149, 156, 170, 200):
        world.now = NOON + day * DAY
        world.run()
        [told] = world.alarms("captures_unpaid")
        assert (told["payments"], told["minor"], told["days"]) == (2, 200, 12 + day)


def test_what_somebody_accepts_as_not_paid_is_listed_no_more_and_later_payments_are(make: Any) -> None:
    world = make("square")
    sold = NOON - SETTLED_WITHIN - DAY
    world.event(payment_id="ch_lost", step=PaymentStep.CAPTURED, amount=Money(2500, "EUR"), occurred_at=sold)
    world.run()
    [one] = not_paid(world.ports.documents).found
    with pytest.raises(Rejected, match="another sum by now"):
        accept_unpaid(world.ports.documents, one.name, 2, 2500)
    accept_unpaid(world.ports.documents, one.name, 1, 2500)
    with pytest.raises(Rejected, match="nothing that is not paid"):
        accept_unpaid(world.ports.documents, one.name, 1, 2500)
    world.heard.clear()
    world.run(link=True)
    assert not world.alarms("captures_unpaid")
    world.event(payment_id="ch_later", step=PaymentStep.CAPTURED, amount=Money(7, "EUR"), occurred_at=NOON)
    world.now = NOON + SETTLED_WITHIN + DAY
    world.run(link=True)
    [told] = world.alarms("captures_unpaid")
    assert (told["payment_id"], told["payments"]) == ("ch_later", 1)


def test_a_provider_without_a_key_owes_what_it_owed(make: Any) -> None:
    world = make("square")
    sold = NOON - SETTLED_WITHIN - DAY
    world.event(payment_id="ch_lost", step=PaymentStep.CAPTURED, amount=Money(2500, "EUR"), occurred_at=sold)
    world.run()
    world.heard.clear()
    world.readers = {}
    world.now += 30 * DAY
    world.run(link=True)
    assert [one["payment_id"] for one in world.alarms("captures_unpaid")] == ["ch_lost"]
    assert not_paid(world.ports.documents).providers == ()


def test_of_a_report_of_a_whole_day_a_settlement_takes_its_own_lines(make: Any) -> None:
    first = a_book("razorpay")
    second = replace(first, payout_id="setl_2", movements=[Movement("payment", 700, 10, "pay_2")])
    world = make("razorpay", first, second)
    world.run()
    assert {one.payout_id: (one.paid, one.rest) for one in world.payouts()} == {
        "setl_1": (first.paid, 0),
        "setl_2": (690, 0),
    }


def test_links_are_looked_for_once_a_week(make: Any) -> None:
    world = make("square", a_book("square"))
    world.run()
    world.heard.clear()
    world.now += 6 * DAY
    world.run()
    assert not world.alarms("payouts_linked")
    world.now += DAY
    world.run()
    assert len(world.alarms("payouts_linked")) == 1


def test_a_reading_that_breaks_off_tells_nothing_and_is_begun_anew(make: Any) -> None:
    world = make("square", a_book("square"))
    world.desk.troubles = []
    pages = 0
    genuine = world.desk.stream

    def breaking(request: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 2:
            world.desk.troubles = [503]
        return genuine(request)

    world.desk.stream = breaking
    world.run()
    assert [(one.read_at, one.unread_since) for one in world.payouts()] == [(None, NOON)]
    assert world.rows == []
    assert world.alarms("fetch_refused")
    found = world.settled()
    assert (found.rest, found.unread_since) == (0, None)


def test_one_unreadable_payout_is_told_and_no_others_trouble(make: Any) -> None:
    good = a_book("square")
    bad = replace(good, payout_id="po_bad", movements=[Movement("no word", 5)], paid_at=NOON - DAY)
    world = make("square", bad, good)
    world.run()
    assert [one["payout_id"] for one in world.alarms("payouts_unread")] == ["po_bad"]
    assert {one.payout_id: one.unread_since for one in world.payouts()} == {"po_bad": NOON, "po_1": None}


def heard_again(world: World, at: datetime) -> None:
    told = {"provider": "adyen", "account": "main", "payout_id": REPORT, "status": "report_available"}
    again = a_payout_event(**told, occurred_at=at, event_id="evt_again")
    world.ports.warehouse.append("payment_events", [json.loads(encode_event(again))])


def down(world: World) -> None:
    world.desk.troubles = [503] * 9


@pytest.mark.parametrize("provider", ["adyen", "square"])
def test_what_could_not_be_read_for_weeks_is_read_when_its_provider_answers(provider: str, make: Any) -> None:
    world = make(provider, a_book(provider))
    for day in (0, 1, 4, 20):
        world.now = NOON + day * DAY
        down(world)
        world.run()
        told = world.alarms("payouts_delayed")
        assert {one["provider"] for one in told} == {provider}
    world.desk.troubles = []
    world.run()
    assert not world.alarms("payouts_delayed")
    world.run()
    [found] = [one for one in world.payouts() if one.currency]
    assert (found.paid, found.rest) == (world.desk.books[0].paid, 0)
    assert not [one for one in world.payouts() if one.unread_since]


def test_a_provider_that_stands_still_for_hours_is_told_of_and_one_run_is_not(make: Any) -> None:
    world = make("square", a_book("square"))
    world.run()
    world.heard.clear()
    world.now += timedelta(hours=2)
    down(world)
    world.run()
    assert [name for name, _ in world.heard if name.startswith("payouts_")] == ["payouts_put_off", "payouts_asked"]
    world.now += timedelta(hours=11)
    down(world)
    world.run()
    [told] = world.alarms("payouts_delayed")
    assert (told["provider"], told["hours"]) == ("square", 13)


def test_what_is_heard_of_while_we_stand_still_is_read_after_all(make: Any) -> None:
    world = make("adyen", a_book("adyen"))
    world.readers = {}
    world.run()
    world.readers = {"adyen": cast(PayoutReader, load_payouts("adyen"))}
    world.now += 9 * DAY
    world.run()
    assert [one.rest for one in world.payouts() if one.currency] == [0]


def test_one_payout_that_is_not_answered_for_keeps_no_other_from_being_read(make: Any) -> None:
    good = a_book("square")
    world = make("square", replace(good, payout_id="po_gone", paid_at=NOON - DAY), good)
    genuine = world.desk.stream
    world.desk.stream = lambda one: Streamed(404, iter([b"{}"])) if "po_gone" in one.url else genuine(one)
    world.run()
    assert {one.payout_id: one.unread_since for one in world.payouts()} == {"po_gone": NOON, "po_1": None}


def test_what_is_not_read_for_a_month_is_given_up_by_name_until_somebody_says_so(make: Any) -> None:
    world = make("adyen", a_book("adyen"))
    down(world)
    world.run()
    world.now = NOON + TRIED_FOR + timedelta(hours=1)
    world.desk.asked.clear()
    world.run()
    [told] = world.alarms("payout_given_up")
    assert (told["payout_id"], world.desk.asked) == (REPORT, [])
    world.desk.troubles = []
    [one] = with_unread(world.ports.documents, world.now)
    accept_rest(world.ports.documents, one.name, 0)
    world.run(days=60)
    assert not world.alarms("payout_given_up")
    assert (world.desk.asked, with_unread(world.ports.documents, world.now)) == ([], [])
    heard_again(world, world.now - timedelta(hours=1))
    world.run()
    assert [one.rest for one in world.payouts() if one.currency] == [0]


def test_a_corrected_report_of_the_same_name_is_read_again(make: Any) -> None:
    world = make("adyen", a_book("adyen"))
    first = world.settled()
    world.desk.books[0].movements.append(Movement(WORDS["adyen"][LineKind.CAPTURE], 700, 10, "ch_c"))
    world.now += 5 * DAY
    heard_again(world, world.now - timedelta(hours=1))
    down(world)  # and not lost with its first try
    world.run()
    world.desk.troubles = []
    world.run()
    [found] = [one for one in world.payouts() if one.currency]
    assert (found.paid, found.rest, found.paid_at) == (first.paid + 690, 0, first.paid_at)
    world.desk.asked.clear()
    world.now += DAY
    world.run()
    assert world.desk.asked == []


@pytest.mark.parametrize(("livemode", "read"), [(True, 0), (False, 1)])
def test_of_test_data_only_where_test_data_is_read(make: Any, livemode: bool, read: int) -> None:
    world = make("adyen", a_book("adyen"))
    world.livemode = livemode
    world.run()
    assert len([one for one in world.payouts() if one.currency]) == read


def test_what_leads_in_a_circle_ends(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make("square", a_book("square"))
    monkeypatch.setattr(world.desk, "paged", lambda rows, after: (list(rows), "again"))
    world.run()
    assert [one["reason"] for one in world.alarms("payouts_unread")] == ["endless_pages"]


def test_a_rest_that_somebody_accepts_ages_no_more_until_it_is_another(make: Any) -> None:
    book = a_book("square", unsaid=9)
    world = make("square", book)
    name = world.settled().name
    with pytest.raises(Rejected, match="another one by now"):
        accept_rest(world.ports.documents, name, 8)
    assert accept_rest(world.ports.documents, name, 9).rest_since is None
    world.now += 5 * DAY
    world.desk.asked.clear()
    world.run()
    assert not world.alarms("payout_unexplained")
    assert not [one for one in world.desk.asked if "entries" in one]
    book.unsaid = 10
    world.run()
    [found] = world.payouts()
    assert (found.rest, found.accepted, found.rest_since) == (10, None, world.now)
    with pytest.raises(Rejected):
        accept_rest(world.ports.documents, "square:main:none", 9)


@pytest.mark.parametrize("trouble", [404, 200])
def test_a_report_that_is_gone_or_failed_is_asked_for_anew(make: Any, trouble: int) -> None:
    world = make("stripe", a_book("stripe"))
    world.run()
    genuine = world.desk.stream
    world.desk.stream = lambda _: Streamed(trouble, iter([b'{"id": "frr_po1", "status": "failed"}']))
    world.run()
    assert len(world.alarms("payouts_unread")) == 1
    [waiting] = world.payouts()
    assert waiting.waits_for is None
    world.desk.stream = genuine
    assert world.settled().rest == 0


def test_a_repeated_run_changes_nothing(make: Any) -> None:
    world = make("square", a_book("square", unsaid=9))
    world.settled()
    before = world.payouts()
    world.run()
    assert (world.payouts(), world.rows) == (before, [])


def test_what_is_asked_otherwise_is_refused(make: Any) -> None:
    world = make("square")
    for asked in ({"days": 0}, {"provider": "klarna"}, {"since": "yesterday"}, {"livemode": True}):
        with pytest.raises(Rejected):
            world.run(**asked)
