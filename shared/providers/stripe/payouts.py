"""Stripe: what an automatic payout is made of, by its payout reconciliation report.

| fact | value |
|---|---|
| payouts | GET /v1/payouts, newest first, by `arrival_date`; only those with `automatic`: of manual and instant ones Stripe cannot say what is in them |
| lines | POST /v1/reporting/report_runs of `payout_reconciliation.by_id.itemized.4` for the payout, GET the run until it has `succeeded` (minutes), then the CSV at files.stripe.com, whatever its length: 100 balance transactions a request would be 36,000 requests for the largest payout |
| amounts | decimal, in major units of the payout's `currency`: `gross` and `fee`; `net` is the one less the other |
| exchanged | `customer_facing_amount` in `customer_facing_currency` |
| names | `charge_id` of a charge, `source_id` of a refund |

Sources: Stripe docs "Payout reconciliation report type", "Reporting categories", "API access to reports", "Payouts".
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.errors import Unreadable
from shared.domain.money import Money
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.domain.privacy import nameable
from shared.providers.kit.filing import harmless
from shared.providers.kit.reading import minor_money, parse
from shared.providers.kit.reports import minor, rows
from shared.providers.stripe.api import ID, headers
from shared.providers.stripe.webhook import NAME as NAME
from shared.providers.stripe.webhook import SENT_WITH

API_HOSTS = frozenset({"api.stripe.com", "files.stripe.com"})
HEARD = False
NAMED = True
REPORT = "payout_reconciliation.by_id.itemized.4"
ACCOUNT = "main"
_K = LineKind
KINDS = {
    "charge": _K.CAPTURE,
    "charge_failure": _K.CAPTURE,
    "partial_capture_reversal": _K.CAPTURE,
    "refund": _K.REFUND,
    "refund_failure": _K.REFUND,
    "dispute": _K.DISPUTE,
    "dispute_reversal": _K.DISPUTE,
    "fee": _K.FEE,
    "network_cost": _K.FEE,
    "tax": _K.FEE,
    "risk_reserved_funds": _K.RESERVE,
    "connect_reserved_funds": _K.RESERVE,
    "other_adjustment": _K.CORRECTION,
    "transfer": _K.TRANSFER,
    "transfer_reversal": _K.TRANSFER,
    "topup": _K.TRANSFER,
    "topup_reversal": _K.TRANSFER,
    "payout_reversal": _K.TRANSFER,
    "payout": _K.PAYOUT,
}
COLUMNS = (
    *("balance_transaction_id", "currency", "gross", "fee", "reporting_category", "source_id", "charge_id"),
    *("customer_facing_amount", "customer_facing_currency"),
)


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    asked = {
        "limit": "100",
        "status": "paid",
        "arrival_date[gte]": str(int(since.timestamp())),
        "arrival_date[lt]": str(int(until.timestamp())),
    }
    if after is not None:
        asked["starting_after"] = harmless(ID, after, "starting_after", "Stripe's")
    base = api.base_url or "https://api.stripe.com"
    return ApiRequest("GET", f"{base}/v1/payouts?{urlencode(asked)}", headers(api, ""))


def read_payouts(after: str | None, body: bytes) -> Listed:
    page = parse(body)
    nodes = page.nodes("data")
    found = []
    for node in nodes:
        if node.flag("automatic"):
            money = minor_money(node, "amount", "currency", SENT_WITH)
            found.append(
                PaidOut(
                    provider=NAME,
                    account=ACCOUNT,
                    payout_id=harmless(ID, node.text("id"), node.where("id"), "Stripe's"),
                    paid_at=node.unix("arrival_date"),
                    status=node.word("status"),
                    currency=money.currency,
                    paid=money.minor,
                )
            )
    more = page.flag("has_more") and nodes
    return Listed(payouts=tuple(found), after=nodes[-1].text("id") if more else None)


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    base = api.base_url or "https://api.stripe.com"
    if after is None:
        form = [("report_type", REPORT), ("parameters[payout]", paid.payout_id)]
        form += [("parameters[columns][]", column) for column in COLUMNS]
        told = {**headers(api, ""), "Content-Type": "application/x-www-form-urlencoded"}
        return ApiRequest("POST", f"{base}/v1/reporting/report_runs", told, urlencode(form).encode())
    own = harmless(ID, after, "report", "Stripe's")
    if own.startswith("frr_"):
        return ApiRequest("GET", f"{base}/v1/reporting/report_runs/{own}", headers(api, ""))
    files = api.base_url or "https://files.stripe.com"
    return ApiRequest("GET", f"{files}/v1/files/{own}/contents", {**headers(api, ""), "Accept": "text/csv"})


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    if after is not None and not after.startswith("frr_"):
        return Lines(found=_lines(rows(pieces, COLUMNS)))
    run = parse(b"".join(pieces))
    status = run.word("status")
    if status == "succeeded":
        return Lines(after=run.text("result", "id"))
    if status == "pending":
        return Lines(after=run.text("id"), waits=True)
    raise Unreadable(f"{run.where('status')}: Stripe could not make the report", reason="report_failed")


def _lines(found: Iterable[Mapping[str, str]]) -> Iterator[PayoutLine]:
    for row in found:
        currency, word = row["currency"].upper(), row["reporting_category"]
        kind = KINDS.get(word, LineKind.UNKNOWN)
        name = row["source_id"] if kind is LineKind.REFUND else row["charge_id"] or row["source_id"]
        paid_in = row["customer_facing_currency"].upper()
        # Of the same currency it says what the charge was, and not what of it is captured.
        charged = (
            Money(minor(row, "customer_facing_amount", paid_in), paid_in) if paid_in not in ("", currency) else None
        )
        yield PayoutLine(
            kind=kind,
            moved=minor(row, "gross", currency),
            currency=currency,
            fee=minor(row, "fee", currency),
            charged=charged,
            reference=nameable(name) or None,
            line_id=row["balance_transaction_id"],
            word=word,
        )
