"""GoCardless: what a payout is made of, by its payout items.

| fact | value |
|---|---|
| payouts | GET /payouts, by `created_at`, 500 a page; one a day and currency |
| lines | GET /payout_items?payout=, 500 a page, for six months |
| amounts | a payout's in integer minor units; an item's a decimal text of minor units with one decimal ("45.0"): GoCardless adds all of them up and rounds once |
| exchanged | `fx.fx_amount` of `fx.fx_currency` is what arrives at a bank account in another currency |
| names | `links.payment`, of a refund `links.refund`. Items have no ids: a page counts once |

Sources: GoCardless' API reference "Payouts" and "Payout items"; its client libraries.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.codec import utc_text
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.providers.gocardless.api import API_HOSTS as API_HOSTS
from shared.providers.gocardless.api import API_VERSION
from shared.providers.gocardless.webhook import NAME as NAME
from shared.providers.kit.filing import harmless, proved_id
from shared.providers.kit.reading import Node, minor_money, parse, unreadable

HEARD = False
NAMED = True
_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)
_K = LineKind
KINDS = {
    "payment_paid_out": _K.CAPTURE,
    "payment_failed": _K.CAPTURE,
    "payment_charged_back": _K.DISPUTE,
    "payment_refunded": _K.REFUND,
    "refund": _K.REFUND,
    "refund_funds_returned": _K.REFUND,
    "gocardless_fee": _K.FEE,
    "app_fee": _K.FEE,
    "surcharge_fee": _K.FEE,
    "revenue_share": _K.TRANSFER,
}


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    asked = {"created_at[gte]": utc_text(since), "created_at[lt]": utc_text(until), "status": "paid", "limit": "500"}
    return _request("/payouts", asked, after, api, livemode=livemode)


def read_payouts(after: str | None, body: bytes) -> Listed:
    page = parse(body)
    found = []
    for node in page.nodes("payouts"):
        money = minor_money(node, "amount", "currency", {})
        fx = node.at("fx")
        exchanged = fx.raw("fx_amount") is not None and fx.hint("fx_currency") not in (None, money.currency)
        found.append(
            PaidOut(
                provider=NAME,
                account=node.maybe_text("links", "creditor") or "main",
                payout_id=proved_id(node, _ID, "GoCardless", "id"),
                paid_at=node.instant("created_at"),
                status=node.word("status"),
                currency=money.currency,
                paid=money.minor,
                arrives=minor_money(fx, "fx_amount", "fx_currency", {}) if exchanged else None,
            )
        )
    return Listed(payouts=tuple(found), after=page.hint("meta", "cursors", "after"))


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    own = harmless(_ID, paid.payout_id, "payout_id", "GoCardless")
    return _request("/payout_items", {"payout": own, "limit": "500"}, after, api, livemode=livemode)


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    page = parse(b"".join(pieces))
    currency = paid.currency or ""
    return Lines(found=list(_lines(page.nodes("payout_items"), currency)), after=page.hint("meta", "cursors", "after"))


def _lines(items: list[Node], currency: str) -> Iterator[PayoutLine]:
    for item in items:
        word = item.word("type")
        kind = KINDS.get(word, LineKind.UNKNOWN)
        try:
            amount = Decimal(item.text("amount"))
            hundredths = int(amount * 100)
        except (InvalidOperation, ValueError, OverflowError):
            raise unreadable(item.where("amount"), "not an amount", "unreadable_money") from None
        if hundredths != amount * 100 or abs(amount) > 10**15:
            raise unreadable(item.where("amount"), "not an amount", "unreadable_money")
        moved, beyond = divmod(hundredths, 100)
        of = "refund" if kind is LineKind.REFUND and item.raw("links", "refund") else "payment"
        yield PayoutLine(
            kind=kind,
            moved=moved,
            hundredths=beyond,
            currency=currency,
            reference=item.maybe_text("links", of),
            word=word,
        )


def _request(path: str, asked: dict[str, str], after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    if after is not None:
        asked = {**asked, "after": after}
    base = api.base_url or ("https://api.gocardless.com" if livemode else "https://api-sandbox.gocardless.com")
    headers = {"Authorization": f"Bearer {api.key}", "GoCardless-Version": API_VERSION, "Accept": "application/json"}
    return ApiRequest("GET", f"{base}{path}?{urlencode(asked)}", headers)
