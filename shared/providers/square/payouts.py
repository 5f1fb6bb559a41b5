"""Square: what a payout is made of, by its entries.

| fact | value |
|---|---|
| payouts | GET /v2/payouts, `begin_time` to `end_time`, 100 a page; of the main location, where no other is asked for |
| lines | GET /v2/payouts/{id}/payout-entries, 100 a page; they sum up to a `BATCH` payout |
| amounts | integer smallest units: `gross_amount_money` and `net_amount_money`; what lies between them is the fee |
| names | `payment_id`, of a refund `payment_refund_id`, in the `type_..._details` of the entry's type |

An entry's type that is not among `KINDS` explains nothing. Sources: Square docs "PayoutEntry", "ActivityType", "List payout entries".
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.codec import utc_text
from shared.domain.payouts import LineKind, Lines, Listed, PaidOut, PayoutLine
from shared.providers.kit.filing import harmless, proved_id
from shared.providers.kit.reading import Node, minor_money, parse
from shared.providers.square.api import API_HOSTS as API_HOSTS
from shared.providers.square.api import API_VERSION
from shared.providers.square.webhook import ID
from shared.providers.square.webhook import NAME as NAME

HEARD = False
NAMED = True
_K = LineKind
KINDS = {
    "CHARGE": _K.CAPTURE,
    "REFUND": _K.REFUND,
    "DISPUTE": _K.DISPUTE,
    "FEE": _K.FEE,
    "APP_FEE_REVENUE": _K.FEE,
    "APP_FEE_REFUND": _K.FEE,
    "DEPOSIT_FEE": _K.FEE,
    "DEPOSIT_FEE_REVERSED": _K.FEE,
    "FREE_PROCESSING": _K.FEE,
    "HOLD_ADJUSTMENT": _K.RESERVE,
    "ADJUSTMENT": _K.CORRECTION,
    "INITIAL_BALANCE_CHANGE": _K.CORRECTION,
    "AUTOMATIC_SAVINGS": _K.TRANSFER,
    "AUTOMATIC_SAVINGS_REVERSED": _K.TRANSFER,
    "MONEY_TRANSFER": _K.TRANSFER,
    "MONEY_TRANSFER_REVERSAL": _K.TRANSFER,
    "RETURNED_PAYOUT": _K.TRANSFER,
}
_NAMED = {
    LineKind.CAPTURE: ("type_charge_details", "payment_id"),
    LineKind.REFUND: ("type_refund_details", "payment_refund_id"),
}


def payouts_request(
    since: datetime, until: datetime, after: str | None, api: ApiCredentials, *, livemode: bool
) -> ApiRequest:
    asked = {"begin_time": utc_text(since), "end_time": utc_text(until), "status": "PAID", "limit": "100"}
    return _request("/v2/payouts", asked, after, api, livemode=livemode)


def read_payouts(after: str | None, body: bytes) -> Listed:
    page = parse(body)
    found = []
    for node in page.nodes("payouts"):
        money = minor_money(node.at("amount_money"), "amount", "currency", {})
        found.append(
            PaidOut(
                provider=NAME,
                account=node.text("location_id"),
                payout_id=proved_id(node, ID, "Square", "id"),
                paid_at=node.instant("created_at"),
                status=node.word("status").lower(),
                currency=money.currency,
                paid=money.minor,
            )
        )
    return Listed(payouts=tuple(found), after=page.hint("cursor"))


def lines_request(paid: PaidOut, after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    own = harmless(ID, paid.payout_id, "payout_id", "Square")
    return _request(f"/v2/payouts/{own}/payout-entries", {"limit": "100"}, after, api, livemode=livemode)


def read_lines(paid: PaidOut, after: str | None, pieces: Iterable[bytes]) -> Lines:
    page = parse(b"".join(pieces))
    return Lines(found=list(_lines(page.nodes("payout_entries"))), after=page.hint("cursor"))


def _lines(entries: list[Node]) -> Iterator[PayoutLine]:
    for entry in entries:
        word = entry.word("type")
        kind = KINDS.get(word, LineKind.UNKNOWN)
        gross, net = (minor_money(entry.at(f"{of}_amount_money"), "amount", "currency", {}) for of in ("gross", "net"))
        yield PayoutLine(
            kind=kind,
            moved=gross.minor,
            currency=gross.currency,
            fee=gross.minor - net.minor,
            reference=entry.maybe_text(*_NAMED[kind]) if kind in _NAMED else None,
            line_id=entry.text("id"),
            word=word,
        )


def _request(path: str, asked: dict[str, str], after: str | None, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    if after is not None:
        asked = {**asked, "cursor": after}
    base = api.base_url or f"https://connect.{'squareup' if livemode else 'squareupsandbox'}.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Square-Version": API_VERSION}
    return ApiRequest("GET", f"{base}{path}?{urlencode(asked)}", headers)
