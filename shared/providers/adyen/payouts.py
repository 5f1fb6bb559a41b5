"""Adyen: what a settlement batch is made of, by its Settlement details report.

| fact | value |
|---|---|
| payouts | one report for each batch that closes, `settlement_detail_report_batch_<number>.csv`; no API lists them, a REPORT_AVAILABLE notification names each. Its `reason` holds the address, which nobody signs: it is put together here |
| lines | GET ca-live.adyen.com (ca-test for test data) `/reports/download/MerchantAccount/<account>/<file>`, Basic with the report user's name and password, CSV |
| amounts | decimal, in major units: `Net Debit (NC)` and `Net Credit (NC)` in `Net Currency`; `Gross Debit (GC)` and `Gross Credit (GC)` in `Gross Currency`, in which customers paid; what is kept from each: `Markup (NC)`, `Scheme Fees (NC)`, `Interchange (NC)`, or `Commission (NC)` |
| paid | the `MerchantPayout` entry of each `Net Currency`: one payout each. A batch without one carries its balance over (`Balancetransfer`) |
| names | `Psp Reference` of the payment; of a refund `Modification Reference` |

Where gross and net are of one currency a fee is what lies between them, exactly; where they are not it is the sum of the four
columns. Sources: Adyen docs "Settlement details report", "Journal types", "Download reports automatically".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.errors import Misconfigured
from shared.domain.money import Money
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.domain.privacy import nameable
from shared.providers.adyen.webhook import NAME as NAME
from shared.providers.adyen.webhook import SETTLEMENT_REPORT
from shared.providers.kit.filing import basic, harmless
from shared.providers.kit.reading import unreadable
from shared.providers.kit.reports import minor, rows

API_HOSTS = frozenset({"ca-live.adyen.com", "ca-test.adyen.com"})
HEARD = True
NAMED = True
_ACCOUNT = re.compile(r"[A-Za-z0-9_\-]{1,80}", flags=re.ASCII)
_K = LineKind
KINDS = {
    "Settled": _K.CAPTURE,
    "Refunded": _K.REFUND,
    "RefundedReversed": _K.REFUND,
    "Chargeback": _K.DISPUTE,
    "SecondChargeback": _K.DISPUTE,
    "ChargebackReversed": _K.DISPUTE,
    "Fee": _K.FEE,
    "MiscCosts": _K.FEE,
    "PaymentCost": _K.FEE,
    "AuthorisationSchemeFee": _K.FEE,
    "DepositCorrection": _K.RESERVE,
    "InvoiceDeduction": _K.CORRECTION,
    "ManualCorrected": _K.CORRECTION,
    "MatchedStatement": _K.TRANSFER,
    "BankInstructionReturned": _K.TRANSFER,
    "Balancetransfer": _K.TRANSFER,
    "InternalCompanyPayout": _K.TRANSFER,
    "MerchantPayout": _K.PAYOUT,
}
NEEDED = (
    *("Type", "Psp Reference", "Modification Reference", "Net Currency", "Net Debit (NC)", "Net Credit (NC)"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)"),
)
COSTS = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    raise Misconfigured("Adyen lists no payouts: they are heard of", reason="nothing_listed")


def read_payouts(after: str | None, body: bytes) -> Listed:
    return Listed(payouts=())


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    base = api.base_url or f"https://ca-{'live' if livemode else 'test'}.adyen.com"
    account = harmless(_ACCOUNT, paid.account, "account", "Adyen's")
    file = harmless(SETTLEMENT_REPORT, paid.payout_id, "payout_id", "a settlement report of Adyen's")
    headers = {"Authorization": basic(api.key), "Accept": "text/csv"}
    return ApiRequest("GET", f"{base}/reports/download/MerchantAccount/{account}/{file}", headers)


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    return Lines(found=_lines(rows(pieces, NEEDED)))


def _lines(found: Iterable[Mapping[str, str]]) -> Iterator[PayoutLine]:
    for row in found:
        currency, word = row["Net Currency"] or row["Gross Currency"], row["Type"]
        if not currency:
            raise unreadable("Net Currency", "missing", "missing_field")
        kind = KINDS.get(word, LineKind.UNKNOWN)
        net = minor(row, "Net Credit (NC)", currency) - minor(row, "Net Debit (NC)", currency)
        paid_in = row["Gross Currency"]
        told = bool(row["Gross Credit (GC)"] or row["Gross Debit (GC)"]) and paid_in != ""
        gross = minor(row, "Gross Credit (GC)", paid_in) - minor(row, "Gross Debit (GC)", paid_in) if told else net
        cost, charged = 0, None
        if told and paid_in == currency:
            cost = gross - net
        elif told:
            cost = sum(minor(row, name, currency) for name in COSTS)
            charged = Money(gross, paid_in)
        name = row["Modification Reference"] if kind is LineKind.REFUND else row["Psp Reference"]
        yield PayoutLine(
            kind=kind,
            moved=net + cost,
            currency=currency,
            fee=cost,
            charged=charged,
            reference=nameable(name) or None,
            word=word,
        )
