"""Mollie: what a settlement is made of, by the sums that it tells of itself.

| fact | value |
|---|---|
| payouts | GET /v2/settlements, newest first, 250 a page; `paidout` ones, by `settledAt` |
| lines | GET /v2/settlements/{id}: `periods`, a month each, of `revenue` (refunds and chargebacks are negative ones) less `costs`, with their taxes |
| amounts | decimal texts with four decimals, in major units: all of them are added up and rounded once |
| names | none: sums are told, and which payments are in them is not linked to ours. The amounts that Mollie's payments tell of their settlement (`settlementAmount`) end with 2026 |

Key: an organization's access token with `settlements.read`. Sources: Mollie docs "Get settlement", "List settlements",
its changelog of 2026.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs, urlencode, urlsplit

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.money import exponent
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.providers.kit.filing import harmless, proved_id
from shared.providers.kit.reading import Node, major_money, parse, unreadable
from shared.providers.mollie.api import API_HOSTS as API_HOSTS
from shared.providers.mollie.webhook import NAME as NAME

HEARD = False
NAMED = False
ACCOUNT = "main"
SETTLEMENT = re.compile(r"stl_[A-Za-z0-9]{1,64}", flags=re.ASCII)
KINDS = {
    "refund": LineKind.REFUND,
    "returned-refund": LineKind.REFUND,
    "chargeback": LineKind.DISPUTE,
    "chargeback-reversal": LineKind.DISPUTE,
    "rolling-reserve": LineKind.RESERVE,
    "rollingreserve": LineKind.RESERVE,
    "balance-correction": LineKind.CORRECTION,
    "invoice-compensation": LineKind.CORRECTION,
}
"""Of `revenue`; every other `method` is a way of paying."""


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    asked = {"limit": "250", "from": harmless(SETTLEMENT, after, "from", "Mollie's")} if after else {"limit": "250"}
    return _request(f"/v2/settlements?{urlencode(asked)}", api)


def read_payouts(after: str | None, body: bytes) -> Listed:
    page = parse(body)
    found = []
    for node in page.nodes("_embedded", "settlements"):
        if node.word("status") == "paidout":
            money = major_money(node.at("amount"), "value", "currency")
            found.append(
                PaidOut(
                    provider=NAME,
                    account=ACCOUNT,
                    payout_id=proved_id(node, SETTLEMENT, "Mollie's", "id"),
                    paid_at=node.instant("settledAt"),
                    status="paidout",
                    currency=money.currency,
                    paid=money.minor,
                )
            )
    # An address of theirs is not followed: of it the id where the next page begins is taken.
    following = parse_qs(urlsplit(page.hint("_links", "next", "href") or "").query).get("from", [])
    return Listed(payouts=tuple(found), after=following[0] if following else None)


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    own = harmless(SETTLEMENT, paid.payout_id, "payout_id", "Mollie's")
    return _request(f"/v2/settlements/{own}", api)


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    periods = parse(b"".join(pieces)).at("periods")
    return Lines(found=[line for year in periods.value for line in _year(periods.at(year), year)])


def _year(months: Node, year: str) -> Iterator[PayoutLine]:
    for month in months.value:
        for side, sign in (("revenue", 1), ("costs", -1)):
            for place, node in enumerate(months.nodes(month, side)):
                yield _line(node, side, sign, f"{year}-{month} {side} {place}")


def _line(node: Node, side: str, sign: int, own: str) -> PayoutLine:
    word = node.hint("method") or side
    kind = LineKind.FEE if side == "costs" else KINDS.get(word, LineKind.CAPTURE)
    amount = node.at("amountGross")
    currency = amount.text("currency")
    try:
        hundredths = Decimal(amount.text("value")).scaleb(exponent(currency) + 2)
        whole = int(hundredths)
    except (InvalidOperation, ValueError, OverflowError):
        raise unreadable(amount.where("value"), "not an amount", "unreadable_money") from None
    if whole != hundredths or abs(whole) > 10**17:
        raise unreadable(amount.where("value"), "not an amount", "unreadable_money")
    moved, beyond = divmod(sign * whole, 100)
    count = node.raw("count")
    lines = count if type(count) is int else 1
    return PayoutLine(kind=kind, moved=moved, hundredths=beyond, currency=currency, line_id=own, word=word, lines=lines)


def _request(path: str, api: ApiCredentials) -> ApiRequest:
    base = api.base_url or "https://api.mollie.com"
    return ApiRequest("GET", base + path, {"Authorization": f"Bearer {api.key}", "Accept": "application/hal+json"})
