"""The book of rules: what each asks and how right it was, what changed and who changed it, what another would have done; and who is
listed. What decides about everybody is changed by two people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.console.site import Site, Visit, Went, done, link, whole_number
from shared.domain.codec import encode, utc_text
from shared.domain.counts import Interval
from shared.domain.decisions import Action
from shared.domain.errors import Rejected
from shared.domain.money import Money
from shared.domain.people import Role, colleague
from shared.domain.privacy import mask
from shared.flows.approvals import GOOD_FOR, Approval, Stand, ask
from shared.flows.backtest import MATURITY, Backtested
from shared.fraud.backtest import Fate, Fates, Tried
from shared.fraud.rules import State
from shared.runtime.rule_book import Changed, Entities, Published, Revisions, Shown, Standing, manage_rules

HERE, LISTS = "/rules", "/lists"
KINDS = ("card", "customer", "device", "ip")
BOTH = "It is to be let pass and to be stopped at once: it is stopped. Take back the one that is wrong."
OUTCOMES = ("challenge", "review", "decline")
SPANS = (90, 75, 30, 14)
"""Days of decisions that a condition can be tried on, the first unless another one is asked for. The shorter ones are younger
than `MATURITY` as a whole: they show how often it would hold now."""
KEPT_FOR = timedelta(days=400)
PUT, BACK = "rules put", "rules back"
LAST = 99_999_999
"""No book has as many revisions."""


class BookChanged(Rejected):
    """What somebody looked at does not decide any more. Answered 409; nothing was done."""

    reason = "book_changed"
    status = 409


def register(site: Site) -> None:
    site.carries |= {PUT: put, BACK: back}
    site.page(HERE, "rules", _rules, title="Rules")
    site.page(f"{HERE}/diff", "rules_diff", _diff)
    site.page(f"{HERE}/try", "rules_try", _try, role=Role.ANALYST)
    site.act(f"{HERE}/put", "rules_put", Role.ANALYST, _wish_put)
    site.act(f"{HERE}/back", "rules_back", Role.ANALYST, _wish_back)
    site.page(LISTS, "lists", _lists, title="Lists")
    site.act(f"{LISTS}/add", "lists_add", Role.ANALYST, _add)
    site.act(f"{LISTS}/remove", "lists_remove", Role.ANALYST, _remove)


def asked(visit: Visit, act: str, /, by: str = "", **members: Any) -> Any:
    """`manage_rules`, asked by this person or in the name of `by`: what its contract says."""
    return manage_rules(encode({"act": act, **members}), visit.ports, visit.now, by or visit.person.email)


def _rules(visit: Visit) -> Mapping[str, Any]:
    revision = whole_number(visit.asked.get("revision", ""), LAST) or None
    shown: Shown = asked(visit, "show", revision=revision, health=visit.asked.get("health") == "yes")
    found: Revisions = asked(visit, "history", limit=20)
    return {
        "shown": shown,
        "standing": revision is None,
        "health": shown.health,
        "revisions": found.revisions,
        "states": [state.value for state in State],
        "changed_at": {
            rule["code"]: datetime.fromisoformat(rule["changed"]["at"])
            for rule in shown.book["rules"]
            if rule["changed"]
        },
    }


def _number(text: str) -> int | None:
    """A revision's number; None for what is shipped."""
    if text in ("", "shipped"):
        return None
    number = whole_number(text, LAST)
    if not number:
        raise Rejected(f"{text[:20]} is no revision: give its number, or `shipped`", reason="bad_revision")
    return number


def _diff(visit: Visit) -> Mapping[str, Any]:
    before, after = visit.asked.get("from", ""), visit.asked.get("to", "")
    found: Changed = _asked_of(visit, before, after)
    lines = [
        (f"{code}: {name}", _one(was, name), _one(now, name))
        for code, (was, now) in sorted(found.rules.items())
        for name in sorted({*(was or {}), *(now or {})} - {"tree"})
        if _one(was, name) != _one(now, name)
    ]
    lines += [("list entry", encode(one).decode(), "") for one in found.removed_entries]
    lines += [("list entry", "", encode(one).decode()) for one in found.added_entries]
    if found.policy is not None:
        was, now = found.policy
        lines.append(("policy", encode(was).decode(), encode(now).decode()))
    return {"lines": lines, "before": before or "shipped", "after": after or "shipped"}


def _asked_of(visit: Visit, before: str, after: str) -> Any:
    members: dict[str, Any] = {"from": _number(before), "to": _number(after)}
    return asked(visit, "diff", **members)


def _one(rule: Mapping[str, Any] | None, name: str) -> str:
    value = (rule or {}).get(name, "")
    return value if isinstance(value, str) else encode(value).decode()


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: x and width of 100, and its words."""

    name: str
    x: float
    width: float
    count: int


def _try(visit: Visit) -> Mapping[str, Any]:
    sql, outcome = visit.asked.get("sql", "").strip(), visit.asked.get("outcome", "review")
    asked_for = whole_number(visit.asked.get("days", ""), SPANS[0])
    days = asked_for if asked_for in SPANS else SPANS[0]
    shown: dict[str, Any] = {
        "sql": sql,
        "outcome": outcome if outcome in OUTCOMES else "review",
        "days": days,
        "spans": {span: _span(span) for span in SPANS},
        "maturity": MATURITY.days,
        "outcomes": OUTCOMES,
        "found": None,
        "trouble": "",
    }
    if not sql:
        return shown
    rule = {"code": "tried", "outcome": shown["outcome"], "sql": sql, "state": "live"}
    since = visit.now - timedelta(days=days)
    try:
        found: Backtested = asked(visit, "backtest", rules=[rule], since=utc_text(since), until=utc_text(visit.now))
    except Rejected as error:
        return {**shown, "trouble": str(error)}
    [tried] = found.rules
    return {
        **shown,
        "found": found,
        "tried": tried,
        "told": _told(found.fates),
        "early": _count(tried.fates, Fate.EARLY_FRAUD),
        "shares": _shares(found, tried),
        "pictures": _bars(found, tried),
        "amounts": _money(tried),
    }


def _span(days: int) -> str:
    """Of how much of it can be said what was genuine."""
    old = days - MATURITY.days
    return f"{days} days, {old} old enough" if old > 0 else f"{days} days, none old enough"


def _count(fates: Fates, *of: Fate) -> int:
    return sum(fates[fate].payments for fate in of if fate in fates)


def _told(fates: Fates) -> int:
    """Of how many it is known what they were, because they are old enough."""
    return _count(fates, Fate.FRAUD, Fate.GENUINE)


def _shares(found: Backtested, tried: Tried) -> Sequence[tuple[str, Interval | None]]:
    """How right it would have been; None where there is nothing that it could be a share of."""
    return (
        ("of its hits, fraud", tried.precision if _told(tried.fates) else None),
        ("of all fraud, caught", tried.caught if _count(found.fates, Fate.FRAUD) else None),
        ("of all genuine payments, hindered", tried.hindered if _count(found.fates, Fate.GENUINE) else None),
    )


def _bars(found: Backtested, tried: Tried) -> Sequence[tuple[str, tuple[Sequence[Part], int]]]:
    """What the rule holds for, and all payments, by what became of them."""
    return [("what it holds for", _parts(tried.fates)), ("all payments", _parts(found.fates))]


def _parts(fates: Mapping[Fate, Any]) -> tuple[list[Part], int]:
    whole, x, parts = sum(one.payments for one in fates.values()), 0.0, []
    for fate in Fate:
        count = fates[fate].payments if fate in fates else 0
        if count:
            width = 100 * count / whole
            parts.append(Part(fate.value, round(x, 3), round(width, 3), count))
            x += width
    return parts, whole


def _money(tried: Tried) -> Mapping[str, Sequence[Money]]:
    """By fate, of each currency."""
    return {
        fate.value: [Money(minor, currency) for currency, minor in sorted(one.money.items())]
        for fate, one in tried.fates.items()
        if one.money
    }


def _wish_put(visit: Visit) -> Went:
    """A rule's state, as somebody wishes it: another one has to agree."""
    code, state = (visit.asked.get(name, "") for name in ("code", "state"))
    shown: Shown = asked(visit, "show")
    after = _number(visit.asked.get("after", ""))
    if after != shown.revision:
        raise BookChanged("the book is another one by now: look at it, and ask again")
    rules = {one["code"]: one for one in shown.book["rules"]}
    before = {name: one["state"] for name, one in rules.items()}
    if code not in before or state not in set(State):
        raise Rejected(f"there is no rule {code[:60]}, or no state {state[:20]}", reason="bad_rule")
    if state == State.LIVE and not (rules[code]["owner"] and rules[code]["reason"]):
        told = f"nobody owns {code}, or says why it is there: publish it with an owner and a reason to let it decide"
        raise Rejected(told, reason="bad_rule")
    if before[code] == state:
        raise Rejected(f"{code} is {state} already", reason="bad_rule")
    says = f"The rule {code} becomes {state} instead of {before[code]}, for every payment, within a minute."
    return _wish(visit, PUT, f"rule {code}", says, code=code, state=state, after=str(after or ""))


def _wish_back(visit: Visit) -> Went:
    to = visit.asked.get("to", "")
    asked(visit, "show", revision=_number(to))  # that there is one
    book = f"The book of revision {to}" if _number(to) else "The shipped book"
    says = f"{book} decides once more, as a new revision, within a minute."
    return _wish(visit, BACK, f"revision {to}", says, to=to)


def _wish(visit: Visit, what: str, about: str, says: str, **parameters: str) -> Went:
    wanted = Approval(
        id=visit.once,
        what=what,
        about=about,
        says=says,
        parameters=parameters,
        by=visit.person.email,
        why=mask(visit.why),
        asked_at=visit.now,
        open_until=visit.now + GOOD_FOR,
        expires_at=visit.now + KEPT_FOR,
    )
    told = ask(visit.acting(f"ask for {what}", visit.why), wanted)
    if told.stand is not Stand.ASKED:
        return done(HERE, f"That was asked for already: it is {told.stand}.")
    return done(HERE, "Asked for: it is done when an approver agrees, who is not you.")


def put(visit: Visit, agreed: Approval) -> str:
    """Carried out in the name of who asked for it. Raises Rejected where the book is another one by now."""
    told = agreed.parameters
    shown: Shown = asked(visit, "show")
    if str(shown.revision or "") != told["after"]:
        raise BookChanged("the book is another one by now: look at it, and ask again")
    rules = [{**one, "state": told["state"]} if one["code"] == told["code"] else one for one in shown.book["rules"]]
    why = _why(agreed)
    book = {**shown.book, "rules": rules}
    published: Published = asked(visit, "publish", agreed.by, book=book, after=shown.revision, reason=why)
    return f"revision {published.revision} decides"


def back(visit: Visit, agreed: Approval) -> str:
    """Carried out in the name of who asked for it."""
    published: Published = asked(visit, "back", agreed.by, to=_number(agreed.parameters["to"]), reason=_why(agreed))
    return f"revision {published.revision} decides"


def _why(agreed: Approval) -> str:
    return f"{agreed.why} (agreed to by {colleague(agreed.decided_by or '')})"


def _lists(visit: Visit) -> Mapping[str, Any]:
    kind, value = visit.asked.get("kind", ""), visit.asked.get("value", "").strip()
    one: Standing | None = None
    if kind in KINDS and value:
        one = asked(visit, "listed", kind=kind, value=value)
        visit.saw(f"lists:{kind}:{one.value}")
    page: Entities = asked(visit, "listed", after=visit.asked.get("after", ""))
    if page.entities:
        visit.saw("lists:all")
    return {
        "kind": kind,
        "value": value,
        "one": one,
        "both": BOTH if one and _contradicts(one) else "",
        "page": page,
        "kinds": KINDS,
        "after": visit.asked.get("after", ""),
    }


def _entity(visit: Visit) -> tuple[str, str]:
    kind, value = visit.asked.get("kind", ""), visit.asked.get("value", "")
    if kind not in KINDS or not value:
        raise Rejected(
            "say whom: a card, a customer, a device or an address, as a decision names it", reason="bad_entry"
        )
    return kind, value


def _add(visit: Visit) -> Went:
    kind, value = _entity(visit)
    days, action = whole_number(visit.asked.get("days", ""), 365), visit.asked.get("action", "")
    if not days:
        raise Rejected("say for how many days: from 1 to 365", reason="bad_entry")
    until = utc_text(visit.now + timedelta(days=days))
    said: dict[str, Any] = {"action": action, "kind": kind, "value": value, "rule": None, "until": until}
    stands: Standing = asked(visit, "list", **said, owner=visit.person.email, reason=mask(visit.why))
    both = f" {BOTH}" if _contradicts(stands) else ""
    return done(link(LISTS, kind=kind, value=value), f"It holds for {days} days, from the next payment on.{both}")


def _contradicts(one: Standing) -> bool:
    return {Action.BLOCK, Action.ALLOW} <= {change.action for change in one.standing.values()}


def _remove(visit: Visit) -> Went:
    kind, value = _entity(visit)
    rule = visit.asked.get("rule") or None
    asked(
        visit, "unlist", kind=kind, value=value, action=visit.asked.get("action", ""), rule=rule, reason=mask(visit.why)
    )
    return done(link(LISTS, kind=kind, value=value), "It holds no longer.")
