"""`payin payouts`: what was paid, what of it nobody explains, and what was not paid."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from shared.cli.codes import Code
from shared.domain.codec import to_document
from shared.domain.money import Money
from shared.domain.payouts import Exchanged, LineKind, Payout, PayoutExplained, PayoutTotal, Unlinked
from shared.flows.explain_payouts import STATE, key_of
from shared.flows.payout_links import Owed, Unpaid
from shared.flows.ports import Create
from tests.builders import DAY
from tests.cli.calling import payin, told
from tests.cli.shop import Shop
from tests.providers.kits import NOON

ONE = Payout(
    provider="stripe",
    account="main",
    payout_id="po_1",
    paid_at=NOON - DAY,
    status="paid",
    heard_at=NOON - DAY,
    read_at=NOON,
    currency="EUR",
    paid=1900,
    arrives=Money(1650, "GBP"),
    rest=12,
    rest_since=NOON - timedelta(hours=1),
    totals=(
        PayoutTotal(kind=LineKind.CAPTURE, minor=1999, lines=1),
        PayoutTotal(kind=LineKind.FEE, minor=-111, lines=0),
        PayoutTotal(kind=LineKind.UNKNOWN, minor=12, lines=1),
    ),
    exchanged=(Exchanged(currency="USD", charged=1200, moved=1000, lines=1),),
    words={"climate": 12},
    lines=2,
    linked_at=NOON,
    unlinked=(Unlinked(kind=LineKind.CAPTURE, why="unknown", currency="EUR", minor=1999, lines=1, example="ch_1"),),
)

MISSED = Unpaid(
    provider="stripe", account="main", currency="EUR", payments=1, minor=250, oldest=NOON - 9 * DAY, example="pi_1"
)
OWED = Owed(linked_at=NOON, until=NOON, providers=("stripe",), unpaid=(MISSED,))


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One payout with a rest, one that waits for its report, and a capture that nobody paid."""
    shop = Shop(tmp_path_factory.mktemp("paid"))
    waiting = Payout(
        provider="stripe",
        account="main",
        payout_id="po_2",
        paid_at=NOON,
        status="paid",
        heard_at=NOON,
        waits_for="frr_1",
        unread_since=NOON,
    )
    shop.ports.documents.commit(
        [
            *(Create(key_of(one.name), to_document(one)) for one in (ONE, waiting)),
            Create(STATE, to_document(OWED)),
        ]
    )
    row = PayoutExplained(
        row_id="r",
        provider="stripe",
        account="main",
        payout_id="po_1",
        part=0,
        paid_at=ONE.paid_at,
        read_at=NOON,
        status="paid",
        currency="EUR",
        paid=1900,
        rest=12,
        rest_since=ONE.rest_since,
    )
    shop.ports.warehouse.append("payouts", [to_document(row)])
    return shop


def test_payouts_are_listed_with_what_is_not_explained(paid: Shop) -> None:
    [one] = told(paid.home, "payouts", "list", "--days", "7")
    assert (one["name"], one["paid"]["minor"], one["rest"]["minor"]) == (ONE.name, 1900, 12)
    assert told(paid.home, "payouts", "list", "--rest") == [one]
    assert told(paid.home, "payouts", "list", "--rest", "--provider", "adyen") == []
    assert "EUR 0.12" in payin(paid.home, "payouts", "list").stdout
    assert payin(paid.home, "payouts", "list", "--rest", "--unread").exit_code == 2
    assert "jobs show" in payin(paid.home, "payouts", "list", "--unread", "--provider", "adyen").stdout
    assert "every payout is explained" in payin(paid.home, "payouts", "list", "--rest", "--provider", "adyen").stdout


def test_a_rest_that_somebody_accepted_is_open_no_more(paid: Shop, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(paid.home, home)
    assert payin(home, "payouts", "accept", ONE.name, "--yes", "-r", "a fee by letter").exit_code == 0
    [one] = told(home, "payouts", "list")
    assert (one["rest"]["minor"], one["rest_since"], one["accepted"]) == (12, None, True)
    assert "accepted" in payin(home, "payouts", "list").stdout
    assert told(home, "payouts", "list", "--rest") == []


def test_what_could_not_be_read_is_listed_until_it_is_or_somebody_gives_it_up(paid: Shop, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(paid.home, home)
    [one] = told(home, "payouts", "list", "--unread")
    assert (one["name"], one["prepared"]) == ("stripe:main:po_2", True)
    assert "its report is prepared" in payin(home, "payouts", "list", "--unread").stdout
    assert payin(home, "payouts", "accept", one["name"], "--yes", "-r", "the report is gone").exit_code == 0
    assert "is read" in payin(home, "payouts", "list", "--unread").stdout
    assert "somebody has accepted" in payin(home, "payouts", "show", one["name"]).stdout


@pytest.mark.parametrize("line", [["payouts", "list"], ["payouts", "list", "--rest"], ["facts", "payout_unlinked"]])
def test_a_provider_that_nobody_knows_is_no_empty_list(line: list[str], home: Path) -> None:
    result = payin(home, *line, "--provider", "nosuch")
    assert (result.exit_code, "gocardless" in result.output) == (Code.USAGE, True)


def test_one_payout_is_shown_to_its_last_unit(paid: Shop) -> None:
    shown = told(paid.home, "payouts", "show", ONE.name)
    assert sum(one["minor"] for one in shown["totals"] if one["kind"] != "unknown") + shown["rest"] == shown["paid"]
    said = payin(paid.home, "payouts", "show", ONE.name).stdout
    for words in ("EUR 19.99", "EUR -1.11", "not explained", "climate", "USD 12.00", "GBP 16.50", "as ch_1"):
        assert words in said
    assert "prepares the report" in payin(paid.home, "payouts", "show", "stripe:main:po_2").stdout
    assert payin(paid.home, "payouts", "show", "stripe:main:po_9").exit_code == 3


def test_what_was_not_paid_is_told_as_of_the_last_look(paid: Shop, home: Path) -> None:
    [one] = told(paid.home, "payouts", "unpaid")["found"]
    assert (one["name"], one["example"], one["captured"]["minor"]) == ("stripe:main:EUR", "pi_1", 250)
    said = payin(paid.home, "payouts", "unpaid").stdout
    for words in ("EUR 2.50", "ago", "by stripe"):
        assert words in said
    assert "nobody has looked yet" in payin(home, "payouts", "unpaid").stdout
