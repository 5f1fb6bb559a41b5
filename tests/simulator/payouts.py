"""What providers say of their payouts, in the shapes that they document, for books that a test keeps.

Each desk answers the requests of `shared/providers/<name>/payouts.py`: lists, pages, report runs and files. A page holds `page` entries,
so that a payout of a few lines has several.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.codec import utc_text
from shared.domain.money import Money, exponent
from shared.flows.apis import Streamed
from tests.simulator.providers.shaping import ApiReply

INDIA = timedelta(hours=5, minutes=30)


@dataclass(frozen=True)
class Movement:
    """word: the provider's own for it. gross, fee: minor units of the payout's currency. charged: in the customer's."""

    word: str
    gross: int
    fee: int = 0
    reference: str = ""
    charged: Money | None = None


@dataclass
class Book:
    """A payout. unsaid: what was paid beyond its movements. adds: those that its provider tells only later."""

    payout_id: str
    paid_at: datetime
    movements: list[Movement]
    currency: str = "EUR"
    unsaid: int = 0

    @property
    def paid(self) -> int:
        return sum(one.gross - one.fee for one in self.movements) + self.unsaid


@dataclass
class Desk:
    """One provider. page: entries of one page. pending: how often a report is not ready when it is asked for."""

    provider: str
    books: list[Book]
    page: int = 2
    pending: int = 0
    account: str = "main"
    asked: list[str] = field(default_factory=list)
    troubles: list[int] = field(default_factory=list)

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return ApiCredentials(key="user:secret")

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        reply = self._answer(request)
        return ApiAnswer(reply.status, reply.body)

    def stream(self, request: ApiRequest) -> Streamed:
        reply = self._answer(request)
        # In pieces that end anywhere.
        pieces = [reply.body[at : at + 7] for at in range(0, len(reply.body), 7)]
        return Streamed(reply.status, iter(pieces))

    def _answer(self, request: ApiRequest) -> ApiReply:
        self.asked.append(f"{request.method} {request.url}")
        if self.troubles:
            return ApiReply(self.troubles.pop(0), b"{}")
        address = urlsplit(request.url)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        body = _DESKS[self.provider](self, address.path, query | form)
        if body is None:
            return ApiReply(404, b"{}")
        return ApiReply(200, body if isinstance(body, bytes) else json.dumps(body).encode())

    def book(self, payout_id: str) -> Book | None:
        return next((one for one in self.books if one.payout_id == payout_id), None)

    def paged(self, rows: Sequence[Any], after: str | None) -> tuple[list[Any], str | None]:
        begin = int(after or 0)
        end = begin + self.page
        return list(rows[begin:end]), str(end) if end < len(rows) else None


def major(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"


def _stripe(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    if path == "/v1/payouts":
        ids = [one.payout_id for one in desk.books]
        begin = ids.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
        rows = desk.books[begin : begin + desk.page]
        data = [
            {
                "id": one.payout_id,
                "amount": one.paid,
                "currency": one.currency.lower(),
                "arrival_date": int(one.paid_at.timestamp()),
                "automatic": True,
                "status": "paid",
            }
            for one in rows
        ]
        return {"object": "list", "has_more": begin + desk.page < len(ids), "data": data}
    if path == "/v1/reporting/report_runs":
        return {"id": f"frr_{asked['parameters[payout]']}", "status": "pending", "result": None}
    own = path.split("/")[4 if path.startswith("/v1/reporting") else 3].partition("_")[2]
    if path.startswith("/v1/reporting/"):
        desk.pending -= 1
        ready = desk.pending < 0
        status, result = ("succeeded", {"id": f"file_{own}"}) if ready else ("pending", None)
        return {"id": f"frr_{own}", "status": status, "result": result}
    found = desk.book(own)
    return found and _csv(
        [
            {
                "balance_transaction_id": f"txn_{place}",
                "currency": found.currency.lower(),
                "gross": major(one.gross, found.currency),
                "fee": major(one.fee, found.currency),
                "reporting_category": one.word,
                "source_id": one.reference,
                "charge_id": one.reference if one.word == "charge" else "",
                "customer_facing_amount": major(one.charged.minor, one.charged.currency) if one.charged else "",
                "customer_facing_currency": one.charged.currency.lower() if one.charged else "",
            }
            for place, one in enumerate(found.movements)
        ]
    )


def _adyen(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    found = desk.book(path.rpartition("/")[2])
    if found is None:
        return None
    entries = [(found.currency, one) for one in found.movements]
    entries.append((found.currency, Movement("MerchantPayout", -found.paid)))
    rows = []
    for currency, one in entries:
        net, other = one.gross - one.fee, one.charged
        gross = other or Money(one.gross, currency)
        of_payment = one.word in ("Settled", "Refunded", "Chargeback")
        rows.append(
            {
                "Company Account": "Company",
                "Merchant Account": desk.account,
                "Psp Reference": "" if one.word == "Refunded" else one.reference,
                "Type": one.word,
                "Modification Reference": one.reference,
                "Gross Currency": gross.currency if of_payment else "",
                "Gross Debit (GC)": major(-gross.minor, gross.currency) if of_payment and gross.minor < 0 else "",
                "Gross Credit (GC)": major(gross.minor, gross.currency) if of_payment and gross.minor >= 0 else "",
                "Net Currency": currency,
                "Net Debit (NC)": major(-net, currency) if net < 0 else "",
                "Net Credit (NC)": major(net, currency) if net >= 0 else "",
                "Commission (NC)": major(one.fee, currency) if other and one.fee else "",
            }
        )
    return _csv(rows)


def _square(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    def money(minor: int, currency: str) -> dict[str, Any]:
        return {"amount": minor, "currency": currency}

    if path == "/v2/payouts":
        rows, after = desk.paged(desk.books, asked.get("cursor"))
        payouts = [
            {
                "id": one.payout_id,
                "location_id": desk.account,
                "status": "PAID",
                "created_at": utc_text(one.paid_at),
                "amount_money": money(one.paid, one.currency),
            }
            for one in rows
        ]
        return {"payouts": payouts, **({"cursor": after} if after else {})}
    found = desk.book(path.split("/")[3])
    if found is None:
        return None
    named = {"CHARGE": ("type_charge_details", "payment_id"), "REFUND": ("type_refund_details", "payment_refund_id")}
    entries = []
    for place, one in enumerate(found.movements):
        details, name = named.get(one.word, ("type_other_details", "payment_id"))
        entries.append(
            {
                "id": f"poe_{place}",
                "payout_id": found.payout_id,
                "type": one.word,
                "gross_amount_money": money(one.gross, found.currency),
                "fee_amount_money": money(one.fee, found.currency),
                "net_amount_money": money(one.gross - one.fee, found.currency),
                details: {name: one.reference},
            }
        )
    rows, after = desk.paged(entries, asked.get("cursor"))
    return {"payout_entries": rows, **({"cursor": after} if after else {})}


def _gocardless(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    if path == "/payouts":
        rows, after = desk.paged(desk.books, asked.get("after"))
        payouts = [
            {
                "id": one.payout_id,
                "amount": one.paid,
                "currency": one.currency,
                "status": "paid",
                "created_at": utc_text(one.paid_at),
                "links": {"creditor": desk.account},
                "fx": {"fx_currency": None, "fx_amount": None},
            }
            for one in rows
        ]
        return {"payouts": payouts, "meta": {"cursors": {"before": None, "after": after}, "limit": desk.page}}
    found = desk.book(asked["payout"])
    if found is None:
        return None
    items: list[dict[str, Any]] = []
    for one in found.movements:
        of = "refund" if one.word == "refund" else "payment"
        items.append({"type": one.word, "amount": f"{one.gross}.0", "links": {of: one.reference or None}})
        if one.fee:
            # In halves of a minor unit: only their sum is whole.
            halves = [f"{Decimal(-one.fee) / 2:.1f}"] * 2
            items += [
                {"type": "gocardless_fee", "amount": half, "links": {"payment": one.reference}} for half in halves
            ]
    rows, after = desk.paged(items, asked.get("after"))
    return {"payout_items": rows, "meta": {"cursors": {"before": None, "after": after}, "limit": desk.page}}


def _mollie(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    def settlement(one: Book) -> dict[str, Any]:
        def line(word: str, minor: int) -> dict[str, Any]:
            value = {"currency": one.currency, "value": f"{Decimal(minor).scaleb(-exponent(one.currency)):.4f}"}
            return {"description": word, "method": word, "count": 1, "amountNet": value, "amountGross": value}

        revenue = [line(move.word, move.gross) for move in one.movements]
        costs = [line(move.word, move.fee) for move in one.movements if move.fee]
        return {
            "resource": "settlement",
            "id": one.payout_id,
            "status": "paidout",
            "settledAt": utc_text(one.paid_at),
            "amount": {"currency": one.currency, "value": major(one.paid, one.currency)},
            "periods": {f"{one.paid_at:%Y}": {f"{one.paid_at:%m}": {"revenue": revenue, "costs": costs}}},
        }

    if path == "/v2/settlements":
        ids = [one.payout_id for one in desk.books]
        begin = ids.index(asked["from"]) if "from" in asked else 0
        rows, end = desk.books[begin : begin + desk.page], begin + desk.page
        following = {"href": f"https://api.mollie.com/v2/settlements?from={ids[end]}"} if end < len(ids) else None
        return {"_embedded": {"settlements": [settlement(one) for one in rows]}, "_links": {"next": following}}
    found = desk.book(path.rpartition("/")[2])
    return found and settlement(found)


def _razorpay(desk: Desk, path: str, asked: dict[str, str]) -> Any:
    skip, count = int(asked["skip"]), int(asked["count"])
    if path == "/v1/settlements":
        items = [
            {
                "id": one.payout_id,
                "entity": "settlement",
                "amount": one.paid,
                "status": "processed",
                "created_at": int(one.paid_at.timestamp()),
            }
            for one in desk.books
        ]
        return {"entity": "collection", "count": len(items), "items": items[skip : skip + count]}
    day = datetime(int(asked["year"]), int(asked["month"]), int(asked["day"]), tzinfo=UTC).date()
    lines: list[dict[str, Any]] = []
    for one in desk.books:
        if (one.paid_at + INDIA).date() == day:
            for move in one.movements:
                net = move.gross - move.fee
                lines.append(
                    {
                        "entity_id": move.reference or f"adj_{len(lines)}",
                        "type": move.word,
                        "amount": abs(move.gross),
                        "credit": max(net, 0),
                        "debit": max(-net, 0),
                        "fee": move.fee,
                        "tax": 0,
                        "currency": one.currency,
                        "settlement_id": one.payout_id,
                    }
                )
    return {"entity": "collection", "count": len(lines), "items": lines[skip : skip + count]}


def _csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


_DESKS: dict[str, Callable[[Desk, str, dict[str, str]], Any]] = {
    "adyen": _adyen,
    "gocardless": _gocardless,
    "mollie": _mollie,
    "razorpay": _razorpay,
    "square": _square,
    "stripe": _stripe,
}
