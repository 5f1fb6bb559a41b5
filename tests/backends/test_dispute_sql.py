"""What the warehouse counts of disputes, against cases counted by hand; on both warehouses."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.backends.gcp.warehouse import BigQueryWarehouse
from shared.backends.local.warehouse import LocalWarehouse
from shared.disputes import lifecycle
from shared.disputes.at_risk import AT_RISK_SQL
from shared.disputes.at_risk import asked_at as at_risk_at
from shared.disputes.dispute_rates import RATES_SQL, asked_from
from shared.disputes.matching import CANDIDATES_SQL, Sought, looked_for
from shared.disputes.outcome_ledger import LEDGER_SQL, asked_for
from shared.disputes.programmes import COUNTS_SQL, asked_at
from shared.disputes.reason_codes import list_of, list_of_sql
from shared.disputes.strategy import OUTCOMES_SQL, Count, Outcomes
from shared.disputes.table_functions import FUNCTIONS
from shared.domain.codec import encode, utc_text
from shared.domain.disputes import Dispute
from shared.domain.events import DisputeStage, DisputeStatus
from shared.domain.money import Money
from shared.flows.ports import Ports, Warehouse
from tests.backends.declared import FOLDER
from tests.builders import a_dispute_event, eur

DAY = timedelta(days=1)
_numbers = count(1)


def an_update(dispute_id: str, at: datetime, revision: int, status: str, **fields: Any) -> dict[str, Any]:
    """A row of `dispute_updates` of a fraud chargeback by Visa at Stripe."""
    return {
        "update_id": f"u{next(_numbers)}",
        "occurred_at": utc_text(at),
        "revision": revision,
        "provider": "stripe",
        "account": "acct_1",
        "dispute_id": dispute_id,
        "payment_id": f"pi_{dispute_id}",
        "payment_known": True,
        "stage": "chargeback",
        "status": status,
        "told_status": status,
        "final": True,
        "amount": {"minor": 1999, "currency": "EUR"},
        "reason": "fraud",
        "reason_code": "10.4",
        "network": "visa",
        "deadline_unsigned": False,
        "deadline_estimated": False,
        "can_respond": True,
        "flags": [],
        **fields,
    }


def story(dispute_id: str, at: datetime, *statuses: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """A row a day, one for each status."""
    for day, status in enumerate(statuses):
        yield an_update(dispute_id, at + day * DAY, day + 1, status, **fields)


def paid(
    payment_id: str, at: datetime, network: str | None = "visa", step: str = "captured", **fields: Any
) -> dict[str, Any]:
    """A row of `payment_events`: paid at Stripe."""
    return {
        "kind": "payment",
        "event_id": f"paid{next(_numbers)}",
        "occurred_at": utc_text(at),
        "provider": "stripe",
        "account": "acct_1",
        "payment_id": payment_id,
        "step": step,
        "card": {"network": network},
        **fields,
    }


def test_outcomes_count_what_was_answered_and_finally_decided_once(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, datetime(2029, 3, 1, tzinfo=UTC)
    asked = ("needs_response", "under_review")
    won = list(story("won", since, *asked, "won"))
    late = an_update("won", since, 1, "needs_response")  # heard last, and older
    rows = [
        *won,
        won[-1],  # told twice
        late,
        *story("lost", since, *asked, "lost"),
        *story("again", since, *asked, "lost", "needs_response", "under_review", "won"),
        *story("unanswered", since, "needs_response", "lost"),
        *story("accepted", since, *asked, "accepted"),
        *story("open", since, *asked),
        *story("turned over", since, *asked, "won", final=False),
        *story("for us", since, "needs_response", "under_review", "lost", answered_by="provider"),
        *story("stray", since, *asked, "won", same_as="won"),
        *story("elsewhere", since, *asked, "won", provider="adyen", network="mc"),
        *story("untold", since, *asked, "lost", reason=None, network=None),
        *story("before", since - 9 * DAY, *asked, "won"),
    ]
    found.append("dispute_updates", rows)
    told = found.query(OUTCOMES_SQL, {"since": since, "until": since + 30 * DAY})
    assert Outcomes.of(told).counts == {
        ("fraud", "visa", "stripe"): Count(won=2, lost=1),
        ("fraud", "mastercard", "adyen"): Count(won=1, lost=0),
        ("other", "", "stripe"): Count(won=0, lost=1),
    }


def test_candidates_for_an_alert_are_the_payments_of_that_day_with_its_amount_and_digits(warehouses: Ports) -> None:
    found, at = warehouses.warehouse, datetime(2032, 5, 10, 12, tzinfo=UTC)
    sought = Sought(amount=Money(1999, "EUR"), bin="424242", last4="4242", paid_at=at)

    def paid(payment_id: str, **fields: Any) -> dict[str, Any]:
        row = {"kind": "payment", "event_id": f"sought{next(_numbers)}", "provider": "stripe", "account": "acct_1"}
        row |= {"occurred_at": utc_text(at), "payment_id": payment_id, "step": "captured"}
        card, amount = {"bin": "424242", "last4": "4242"}, {"minor": 1999, "currency": "EUR"}
        return {**row, "card": card, "amount": amount, **fields}

    rows = [
        paid("meant", step="authorized", occurred_at=utc_text(at - timedelta(minutes=1))),
        paid("meant"),
        paid("same digits", card={"bin": "555555", "last4": "4242"}),
        paid("no bin", card={"last4": "4242"}),
        paid("declined", step="declined"),
        paid("other digits", card={"bin": "424242", "last4": "1111"}),
        paid("other amount", amount={"minor": 2000, "currency": "EUR"}),
        paid("other currency", amount={"minor": 1999, "currency": "USD"}),
        paid("elsewhere", provider="adyen"),
        paid("long before", occurred_at=utc_text(at - 6 * DAY)),
        paid("later", occurred_at=utc_text(at + 2 * DAY)),
    ]
    found.append("payment_events", rows)
    told = found.query(CANDIDATES_SQL, looked_for(sought, "stripe"))
    assert sorted((row["payment_id"], row["bin"]) for row in told) == [
        ("meant", "424242"),
        ("no bin", None),
        ("same digits", "555555"),
    ]


def test_programmes_count_each_account_and_network_of_the_month_once(warehouses: Ports) -> None:
    found, month = warehouses.warehouse, datetime(2032, 3, 1, tzinfo=UTC)
    now, before = month + 14 * DAY, month - 10 * DAY

    mastercard: dict[str, Any] = {"network": "mastercard", "account": "acct_2", "reason_code": "4837"}

    def money(minor: int, currency: str) -> dict[str, Any]:
        return {"minor": minor, "currency": currency}

    def reported(warning_id: str, at: datetime) -> dict[str, Any]:
        own = {"kind": "fraud_warning", "step": None, "card": None, "network": "visa", "warning_id": warning_id}
        return paid(f"pi_{warning_id}", at) | own

    found.append(
        "payment_events",
        [
            paid("p1", month),
            paid("p1", month + DAY),  # the rest of it
            paid("p2", month + DAY),
            paid("p3", month + DAY, "mastercard"),
            paid("p4", month - DAY, "mastercard"),
            paid("p5", month + DAY, step="declined"),
            paid("p6", month + DAY, account="acct_2"),
            paid("p7", now),
            paid("p8", month + DAY, "mastercard", three_d_secure="attempted"),
            # Told with the authorization alone; and one that was never captured.
            paid("p9", month, "mastercard", "authorized", three_d_secure="authenticated"),
            paid("p9", month + DAY, "mastercard"),
            paid("p10", month, "mastercard", "authorized", three_d_secure="authenticated"),
            reported("w1", month + DAY),
            reported("w1", month + 2 * DAY),
            reported("w2", month - DAY),
        ],
    )
    found.append(
        "dispute_updates",
        [
            *story("this month", month, "needs_response", "under_review", "lost"),
            *story("last month", before, "needs_response"),
            an_update("last month", month + DAY, 2, "lost"),
            *story("asked", month, "needs_response", stage="inquiry"),
            # An inquiry of last month that was filed in this one.
            an_update("asked before", before, 1, "needs_response", stage="inquiry"),
            an_update("asked before", month + DAY, 2, "needs_response"),
            *story("stray", month, "needs_response", same_as="this month"),
            *story("after", now, "needs_response"),
            *story("theirs", month, "needs_response", **mastercard),
            *story("dollars", month, "lost", **mastercard | {"reason_code": None, "amount": money(5000, "USD")}),
            *story("shillings", month, "lost", **mastercard | {"amount": money(5000, "UGX")}),
            # A provider's own word, and the network's for another kind of fraud.
            *story("worded", month, "lost", **mastercard | {"reason_code": "transaction_not_authorized"}),
            *story("shifted", month, "lost", **mastercard | {"reason_code": "4870"}),
            *story("no fraud", month, "lost", **mastercard | {"reason_code": "4853", "reason": "not_received"}),
        ],
    )
    rows = found.query(COUNTS_SQL, asked_at(now))
    names = ("settled", "settled_before", "authenticated", "disputes", "reports", "frauds", "fraud_minor")
    counted = {
        (row["account"], row["network"], row["fraud_currency"]): tuple(int(row[name]) for name in names) for row in rows
    }
    assert counted == {
        ("acct_1", "visa", ""): (2, 0, 0, 0, 1, 0, 0),
        ("acct_1", "visa", "EUR"): (0, 0, 0, 2, 0, 0, 0),
        # p3, p8 and p9 of this month, of which the last two were authenticated; p4 of last month.
        ("acct_1", "mastercard", ""): (3, 1, 2, 0, 0, 0, 0),
        ("acct_2", "visa", ""): (1, 0, 0, 0, 0, 0, 0),
        ("acct_2", "mastercard", "EUR"): (0, 0, 0, 4, 0, 2, 3998),
        ("acct_2", "mastercard", "USD"): (0, 0, 0, 1, 0, 1, 5000),
        ("acct_2", "mastercard", "UGX"): (0, 0, 0, 1, 0, 1, 5000),
    }


def ledger_of(found: Warehouse, since: datetime, until: datetime) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by who answered and currency, without what is nothing."""
    rows = found.query(LEDGER_SQL, asked_for(since, until))
    keys = ("month", "provider", "account", "reason", "answered", "currency")
    return {
        (row["month"].month, row["answered"], row["currency"]): {
            name: int(value) for name, value in row.items() if name not in keys and value
        }
        for row in rows
    }


def test_the_ledger_by_hand(warehouses: Ports) -> None:
    found, may = warehouses.warehouse, datetime(2034, 5, 1, tzinfo=UTC)
    june = may + 31 * DAY
    sent: dict[str, Any] = {"answer_state": "taken"}
    asked = ("needs_response", "under_review")

    def settled(moved: int, withdrawn: int = 1999, currency: str = "EUR", fees: int | None = 1500) -> dict[str, Any]:
        money = {"moved": moved, "withdrawn": withdrawn, "fees": fees}
        return {
            name: {"minor": minor, "currency": currency} if minor is not None else None for name, minor in money.items()
        }

    def last(dispute_id: str, revision: int, status: str, **fields: Any) -> dict[str, Any]:
        since = fields.get("status_since", utc_text(may + 20 * DAY))
        return an_update(dispute_id, may + 20 * DAY, revision, status, **{"status_since": since, **fields})

    won = last("won", 3, "won", **sent, **settled(0))
    rows = [
        *story("won", may, *asked, **settled(-1999)),
        won,
        won,  # told twice
        an_update("won", may, 1, "needs_response"),  # heard late, and older
        last("part", 3, "won", **sent, **settled(-499)),
        last("reversed", 5, "lost", **sent, **settled(-1999), won_before=True, stage="pre_arbitration"),
        # Asked again after it was lost: nothing is known yet, and what was sent once stays sent.
        last("again", 3, "lost", **sent, **settled(-1999)),
        last("again", 4, "needs_response", **settled(-1999), stage="pre_arbitration", answer_state="announced"),
        # An outcome that may be turned over.
        last("provisional", 3, "won", final=False, **sent, **settled(0, fees=None)),
        # The provider tells of no money that moves, nor of fees.
        last("by word", 3, "won", **sent),
        last("by word, lost", 3, "lost", **sent),
        last("stray", 3, "won", **sent, same_as="won"),
        # In euros, settled in dollars.
        last("abroad", 3, "won", answer_state="elsewhere", **settled(25, 2163, "USD")),
        last("silent", 3, "expired", **settled(-1999)),
        last("taken", 3, "accepted", status_since=utc_text(june), answer_state="elsewhere", **settled(-1999)),
        last("closed", 3, "closed", **settled(0)),
        last("alert", 3, "prevented", stage="inquiry"),
        last("warned", 3, "prevented", stage="inquiry", alert="ethoca"),  # no dispute, but who warned of one
        last("theirs", 3, "lost", answered_by="provider", **settled(-1999)),
        # Of last month, though told of in this one.
        last("before", 3, "lost", status_since=utc_text(may - DAY), **settled(-1999)),
        an_update("after", june + 9 * DAY, 3, "won", **sent),
    ]
    found.append("dispute_updates", rows)
    assert ledger_of(found, may, june + 5 * DAY) == {
        (5, "platform", "EUR"): {
            "disputes": 7,
            "won": 3,
            "partial": 1,
            "lost": 1,
            "reversed": 1,
            "open": 1,
            "provisional": 1,
            "disputed": 7 * 1999,
            # won, part, reversed, again, provisional.
            "withdrawn": 5 * 1999,
            "returned": 1999 + 1500 + 1999,
            # And what was won where no money is told of.
            "recovered": 1999 + 1500 + 1999 + 1999,
            "fees": 4 * 1500,
            "fees_told": 4,
            "net_recovered": 3 * 1999 + 1500 - 4 * 1500,
        },
        (5, "people", "EUR"): {"disputes": 1, "won": 1, "disputed": 1999},
        (5, "people", "USD"): {
            "withdrawn": 2163,
            "returned": 2188,
            "recovered": 2188,
            "fees": 1500,
            "fees_told": 1,
            "net_recovered": 688,
        },
        (5, "nobody", "EUR"): {
            "disputes": 3,
            "expired": 1,
            "closed": 1,
            "prevented": 1,
            "disputed": 3 * 1999,
            "withdrawn": 2 * 1999,
            "returned": 1999,
            "recovered": 1999,
            "fees": 3000,
            "fees_told": 2,
            "net_recovered": -1001,
        },
        (5, "provider", "EUR"): {
            "disputes": 1,
            "lost": 1,
            "disputed": 1999,
            "withdrawn": 1999,
            "fees": 1500,
            "fees_told": 1,
            "net_recovered": -1500,
        },
        (6, "people", "EUR"): {
            "disputes": 1,
            "accepted": 1,
            "disputed": 1999,
            "withdrawn": 1999,
            "fees": 1500,
            "fees_told": 1,
            "net_recovered": -1500,
        },
    }


def test_deadlines_at_risk_are_those_of_each_queue_that_its_answers_do_not_reach(warehouses: Ports) -> None:
    found, now = warehouses.warehouse, datetime(2040, 3, 1, tzinfo=UTC)

    def due(dispute_id: str, days: float, state: str | None = "parked", **fields: Any) -> dict[str, Any]:
        open_ = {"answered_by": "us", "answer_state": state, "respond_by": utc_text(now + days * DAY)}
        return an_update(dispute_id, now - 5 * DAY, 1, "needs_response", **open_ | fields)

    def answered(dispute_id: str, days: float, state: str, by: str | None = None) -> list[dict[str, Any]]:
        at = now - days * DAY
        answer = {"answer_state": state, "answered_at": utc_text(at), "answer_by": by}
        return [an_update(dispute_id, at + later * DAY, 2, "under_review", **answer) for later in (0.0, days / 2)]

    found.append(
        "dispute_updates",
        [
            # People: seven in seven days. The second of Friday comes too late, and takes no turn.
            *(row for n in range(6) for row in answered(f"by hand{n}", n + 0.5, "elsewhere")),
            *answered("told to send", 6.5, "taken", "clerk@example.com"),
            *answered("long ago", 8, "elsewhere"),
            due("first", 1.5),
            due("second", 1.8),
            due("third", 2.1),
            # The platform: one in a day, and one before.
            *answered("sent", 0.5, "taken", "strategy"),
            *answered("sent before", 2, "taken", "strategy"),
            due("asked", 0.5, None, deadline_estimated=True),
            due("announced", 4, "announced"),
            # None of ours to answer, or not any more.
            due("past", -0.1),
            due("theirs", 0.1, answered_by="provider"),
            due("closed to us", 0.1, can_respond=False),
            due("over", 0.1, "over"),
            due("stray", 0.1, same_as="first"),
            due("ruled", 0.1),
            an_update("ruled", now - DAY, 2, "lost"),
        ],
    )
    rows = found.query(AT_RISK_SQL, at_risk_at(now))
    assert [(row["dispute_id"], row["queue"], row["place"], row["reached_at"], row["calls"]) for row in rows] == [
        ("asked", "platform", 1, now + DAY, False),
        ("second", "people", 2, now + 2 * DAY, False),
    ]
    assert (
        rows[0]["why"]
        == "1 of this queue are due by then, and platform answered 1 in a day; the deadline is our estimate"
    )
    assert [(int(row["answers"]), row["amount"]["minor"]) for row in rows] == [(1, 1999), (7, 1999)]


def test_rates_are_told_by_the_month_of_the_payment_and_by_that_of_the_dispute(warehouses: Ports) -> None:
    found, may = warehouses.warehouse, datetime(2038, 5, 1, tzinfo=UTC)
    june, july = may + 31 * DAY, may + 61 * DAY
    # Four payments in May, eight in June.
    rows = [paid(f"pi_may{n}", may + n * DAY) for n in range(4)]
    rows += [paid(f"pi_june{n}", june + n * DAY) for n in range(8)]
    rows += [rows[0], paid("pi_may1", june), paid("pi_declined", may, step="declined")]
    rows += [paid("pi_mc", june, "mc"), paid("pi_none", june, None)]
    found.append("payment_events", rows)
    unknown = {"payment_id": "elsewhere", "payment_known": False}
    found.append(
        "dispute_updates",
        [
            *story("may0", may + 20 * DAY, "needs_response", "under_review", "lost"),
            *story("may1", june + 3 * DAY, "needs_response"),
            # Two disputes of one payment of May: the second is its chargeback in July.
            *story("inquiry", june, "needs_response", payment_id="pi_may2", stage="inquiry"),
            an_update("inquiry", july, 2, "lost", payment_id="pi_may2"),
            *story("asked", may + 2 * DAY, "needs_response", payment_id="pi_may3", stage="inquiry"),
            *story("june0", june + 9 * DAY, "needs_response"),
            *story("stray", june, "lost", payment_id="pi_june1", same_as="june0"),
            *story("nobody's", june, "needs_response", **unknown),
            # Paid before anybody looked.
            *story("old", may, "needs_response", payment_id="pi_april"),
            *story("network", june, "lost", payment_id="pi_mc", network="mastercard"),
        ],
    )

    def told(until: datetime) -> dict[tuple[int, str], tuple[Any, ...]]:
        return {
            (row["month"].month, row["network"]): (
                *(int(row[name]) for name in ("payments", "disputes_of_payments", "disputes_filed", "undated")),
                row["rate_by_payment"],
                row["rate_by_dispute"],
                row["maturing"],
            )
            for row in found.query(RATES_SQL, asked_from(may, until))
        }

    assert told(july + 5 * DAY) == {
        (5, "visa"): (4, 3, 2, 0, 0.75, 0.5, True),
        (6, "visa"): (8, 1, 3, 1, 0.125, 0.375, True),
        (6, "mastercard"): (1, 1, 1, 0, 1.0, 1.0, True),
        (6, ""): (1, 0, 0, 0, 0.0, 0.0, True),
        (7, "visa"): (0, 0, 1, 0, None, None, True),
    }
    # As it stood then: of May's payments one was disputed.
    assert told(june) == {(5, "visa"): (4, 1, 2, 0, 0.25, 0.5, True)}
    matured = {month: row[-1] for (month, network), row in told(june + 121 * DAY).items() if network == "visa"}
    assert matured == {5: False, 6: True, 7: True}


@given(st.one_of(st.sampled_from([None, "mc", " Visa ", "american_express", "jcb"]), st.text("abcxyz", max_size=8)))
@settings(max_examples=20)
def test_a_network_is_of_the_same_list_in_sql(network: str | None) -> None:
    [row] = LocalWarehouse(Path()).query(f"SELECT {list_of_sql('@network')} AS list", {"network": network})
    assert row["list"] == list_of(network or "")


def test_the_ledger_is_the_same_in_whatever_order_things_were_heard(warehouses: Ports) -> None:
    """Won, and reversed in pre-arbitration: each order of the messages at an account of its own."""
    found, since = warehouses.warehouse, datetime(2036, 5, 1, tzinfo=UTC)
    opened = a_dispute_event(event_id="1", status=DisputeStatus.NEEDS_RESPONSE, occurred_at=since + DAY)
    told = [
        opened,
        replace(opened, event_id="2", status=None, moved=eur(-1999), fees=eur(1500), respond_by=None),
        replace(opened, event_id="3", status=DisputeStatus.WON, moved=eur(1999), occurred_at=since + 9 * DAY),
        replace(
            opened,
            event_id="4",
            stage=DisputeStage.PRE_ARBITRATION,
            status=DisputeStatus.LOST,
            moved=eur(-1999),
            occurred_at=since + 40 * DAY,
        ),
    ]
    rows = []
    for number, order in enumerate(permutations(told)):
        dispute = Dispute(provider="stripe", dispute_id=f"order{number}", account=f"order{number}")
        for event in (*order, order[0]):
            dispute = lifecycle.record(dispute, replace(event, account=dispute.account), since)
            at = event.occurred_at
            update = lifecycle.update_of(
                dispute, None, update_id=f"{number}/{event.event_id}", event_id="e", occurred_at=at
            )
            rows.append(json.loads(encode(update)))
    found.append("dispute_updates", rows)
    ledger = found.query(LEDGER_SQL, asked_for(since, since + 60 * DAY, test_data=True))
    same = [{name: value for name, value in row.items() if name != "account"} for row in ledger]
    assert len(same) == 24
    assert all(row == same[0] for row in same)
    assert (same[0]["reversed"], int(same[0]["withdrawn"]), int(same[0]["net_recovered"])) == (1, 1999, -1500)
    # Over when the win was reversed.
    assert same[0]["month"] == datetime(2036, 6, 1, tzinfo=UTC)


QUESTIONS: Sequence[tuple[str, str, Callable[[datetime, datetime], Mapping[str, datetime | bool]]]] = [
    ("outcome_ledger", LEDGER_SQL, asked_for),
    ("dispute_rates", RATES_SQL, asked_from),
    ("deadlines_at_risk", AT_RISK_SQL, lambda since, until: at_risk_at(until)),
]


def tell_of_may(found: Warehouse, may: datetime) -> None:
    open_ = {"answered_by": "us", "respond_by": utc_text(may + 80 * DAY)}
    found.append("payment_events", [paid(f"pi_d{n}", may + n * DAY) for n in range(3)])
    found.append(
        "dispute_updates",
        [*story("d0", may + 2 * DAY, "needs_response", "won"), *story("d1", may, "needs_response", **open_)],
    )


def test_a_table_function_is_the_query_in_terms_of_its_arguments(tmp_path: Path) -> None:
    found, may = LocalWarehouse(tmp_path), datetime(2042, 5, 1, tzinfo=UTC)
    tell_of_may(found, may)
    for name, sql, parameters in QUESTIONS:
        arguments = FUNCTIONS[name].arguments
        body = re.sub(r"`\{dataset\}\.(\w+)`", r"\1", FUNCTIONS[name].body).replace("{test_data}", "FALSE")
        body = re.sub(rf"\b({'|'.join(arguments)})\b", r"@\1", body)
        rows = found.query(sql, parameters(may, may + 31 * DAY))
        assert rows
        assert found.query(body, instants_of(name, may)) == rows


def instants_of(name: str, may: datetime) -> dict[str, datetime]:
    instants = {"since": may, "until": may + 31 * DAY, "as_of": may + 31 * DAY}
    return {argument: instants[argument] for argument in FUNCTIONS[name].arguments}


@pytest.mark.emulators
def test_bigquery_takes_the_table_functions_and_tells_what_the_queries_do(bigquery_emulator: str) -> None:
    """Made by the routines' API, as Terraform makes them."""
    found, may = BigQueryWarehouse("payin-test", "functions", bigquery_emulator), datetime(2042, 5, 1, tzinfo=UTC)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    at = ClientOptions(api_endpoint=f"http://{bigquery_emulator}")
    client = bigquery.Client("payin-test", nobody, client_options=at)
    instant = bigquery.StandardSqlDataType(type_kind=bigquery.StandardSqlTypeNames.TIMESTAMP)
    found.ensure_tables()
    tell_of_may(found, may)
    for name, sql, parameters in QUESTIONS:
        asked, function = instants_of(name, may), FUNCTIONS[name]
        client.create_routine(
            bigquery.Routine(
                f"payin-test.functions.{name}",
                type_="TABLE_VALUED_FUNCTION",
                language="SQL",
                body=function.body.replace("{dataset}", "payin-test.functions").replace("{test_data}", "FALSE"),
                arguments=[bigquery.RoutineArgument(name=one, data_type=instant) for one in function.arguments],
            )
        )
        instants = ", ".join(f"TIMESTAMP('{utc_text(at)}')" for at in asked.values())
        rows = found.query(f"SELECT * FROM functions.{name}({instants})")
        assert rows == found.query(sql, parameters(may, may + 31 * DAY))


def test_terraform_has_the_functions_of_the_code() -> None:
    stored = json.loads((FOLDER.parent / "functions.json").read_text(encoding="utf-8"))
    told = json.loads(json.dumps({name: asdict(one) for name, one in FUNCTIONS.items()}))
    assert stored == told, "run python -m shared.disputes.table_functions > shared/learning/sql/functions.json"
    assert not any("@" in re.sub("'[^']*'", "", one.body) for one in FUNCTIONS.values())
