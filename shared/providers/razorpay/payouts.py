"""Razorpay: what a settlement is made of, by the combined report of its day.

| fact | value |
|---|---|
| payouts | GET /v1/settlements, `from` to `to`, 100 a page; `processed` ones. They name no currency: their lines do |
| lines | GET /v1/settlements/recon/combined of the day, in India's time, on which it was settled, 1,000 a page: all settlements of that day, of which this one's are taken |
| amounts | integer sub-units: `amount` is what the customer paid or got back, `credit` less `debit` what it adds; what lies between them is the fee with its tax |
| names | `entity_id` of a payment or a refund |

Key: `<key id>:<key secret>`, Basic. Sources: Razorpay docs "Fetch Settlement Recon Details", "Fetch All Settlements".
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.providers.kit.filing import basic
from shared.providers.kit.reading import Node, minor_money, parse
from shared.providers.razorpay.answer import API_HOSTS as API_HOSTS
from shared.providers.razorpay.webhook import NAME as NAME

HEARD = False
NAMED = True
ACCOUNT = "main"
LISTED, LINES = 100, 1000
INDIA = timezone(timedelta(hours=5, minutes=30))
SIGNS = {"payment": 1, "refund": -1}
KINDS = {
    "payment": LineKind.CAPTURE,
    "refund": LineKind.REFUND,
    "adjustment": LineKind.CORRECTION,
    "transfer": LineKind.TRANSFER,
    "reversal": LineKind.TRANSFER,
}


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    span = {"from": str(int(since.timestamp())), "to": str(int(until.timestamp()))}
    return _request("/v1/settlements", {**span, "count": str(LISTED), "skip": str(int(after or 0))}, api)


def read_payouts(after: str | None, body: bytes) -> Listed:
    page = parse(body)
    found = [
        PaidOut(
            provider=NAME,
            account=ACCOUNT,
            payout_id=node.word("id"),
            paid_at=node.unix("created_at"),
            status="processed",
            paid=node.integer("amount"),
        )
        for node in page.nodes("items")
        if node.word("status") == "processed"
    ]
    return Listed(payouts=tuple(found), after=_next(page, after, LISTED))


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    day = paid.paid_at.astimezone(INDIA)
    of_the_day = {"year": f"{day.year}", "month": f"{day.month:02}", "day": f"{day.day:02}"}
    return _request(
        "/v1/settlements/recon/combined", {**of_the_day, "count": str(LINES), "skip": str(int(after or 0))}, api
    )


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    page = parse(b"".join(pieces))
    mine = [node for node in page.nodes("items") if node.raw("settlement_id") == paid.payout_id]
    return Lines(found=list(_lines(mine)), after=_next(page, after, LINES))


def _lines(items: list[Node]) -> Iterator[PayoutLine]:
    for item in items:
        word, own = item.word("type"), item.text("entity_id")
        kind = KINDS.get(word, LineKind.UNKNOWN)
        if word == "adjustment" and item.hint("dispute_id"):
            kind = LineKind.DISPUTE
        credit, debit, amount = (minor_money(item, name, "currency", {}) for name in ("credit", "debit", "amount"))
        net = credit.minor - debit.minor
        gross = SIGNS[word] * amount.minor if word in SIGNS else net
        yield PayoutLine(
            kind=kind,
            moved=gross,
            currency=amount.currency,
            fee=gross - net,
            reference=own if word in SIGNS else None,
            line_id=f"{word} {own}",
            word=word,
        )


def _next(page: Node, after: str | None, full: int) -> str | None:
    """How much the next page skips: a full page is followed by another."""
    return str(int(after or 0) + full) if len(page.nodes("items")) >= full else None


def _request(path: str, asked: dict[str, str], api: ApiCredentials) -> ApiRequest:
    base = api.base_url or "https://api.razorpay.com"
    headers = {"Authorization": basic(api.key), "Accept": "application/json"}
    return ApiRequest("GET", f"{base}{path}?{urlencode(asked)}", headers)
