"""Earlier payments that answer a claim of fraud by a network's own rule: who paid so before, undisputed, is who paid now.

| rule | answers | earlier payments | alike on all three |
|---|---|---|---|
| `visa_ce3` | Visa 10.4 | two | two of address, device, login; one of them address or device |
| `mastercard_fpt` | Mastercard 4837 (37 on its debit network) | two | login, and address or device |

Sources: Visa Compelling Evidence 3.0 as Stripe documents it (docs.stripe.com/disputes/api/visa-ce3) and Verifi's questions
and answers; for Mastercard's First-Party Trust developer.mastercard.com/product/first-party-trust,
developers.justt.ai/docs/visa-ce-30-mastercard-fptp-evidence-guide and
cside.com/en/blog/mastercard-fpt-how-it-reduces-chargebacks. Where they differ everything is asked for that any of them asks
for. Stripe counts an earlier payment's age back from the disputed payment, others from the dispute, and bounds are told as 119 or
120 and as 364 to 366 days: here it is 120 to 364 on both counts, which leaves a day for time zones. Of First-Party Trust's
kinds of proof (device, identity, delivery) a subscription is delivered to the account that logs in, so the login is two of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import combinations

from shared.disputes.reason_codes import list_of
from shared.domain.addresses import address
from shared.domain.disputes import Dispute
from shared.domain.evidence import CompellingEvidence, Purchase

YOUNGEST, OLDEST = timedelta(days=120), timedelta(days=364)
PRIORS = 2
"""Exactly so many are sent: Stripe takes two, and two are enough for everybody."""

DEVICE_CHARACTERS = 15
"""A shorter device id is none that a network takes for one."""

IP, DEVICE, LOGIN = "ip", "device", "login"
ELEMENTS = (IP, DEVICE, LOGIN)


@dataclass(frozen=True, slots=True)
class Rule:
    """alike: what must be alike at least, one of each group; two elements in any case. codes: the claims that it answers."""

    name: str
    network: str
    codes: frozenset[str]
    alike: tuple[frozenset[str], ...]

    def combinations(self) -> list[frozenset[str]]:
        """What may be alike, the most convincing first."""
        sizes = (combinations(ELEMENTS, size) for size in (3, 2))
        every = [frozenset(one) for several in sizes for one in several]
        return [one for one in every if all(one & group for group in self.alike)]


RULES = (
    Rule("visa_ce3", "visa", frozenset({"10.4"}), (frozenset({IP, DEVICE}),)),
    Rule("mastercard_fpt", "mastercard", frozenset({"4837", "37"}), (frozenset({IP, DEVICE}), frozenset({LOGIN}))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule says. evidence: that its criteria are met, and by what. missing: why not, in words, for a person; empty
    where they are. unfit: of each earlier payment that cannot be used (`<provider>:<payment id>`) why."""

    rule: str | None
    evidence: CompellingEvidence | None = None
    missing: tuple[str, ...] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)


def rule_for(dispute: Dispute) -> Rule | None:
    """The rule that answers the claim of `dispute`; None where there is none."""
    network, code = list_of(dispute.network or ""), (dispute.reason_code or "").strip()
    return next((rule for rule in RULES if rule.network == network and code in rule.codes), None)


def examine(dispute: Dispute, disputed: Purchase | None, history: Iterable[Purchase]) -> Finding:
    """Whether the earlier payments of whoever made the `disputed` one answer `dispute`. history: their payments at all
    providers; the disputed one may be among them. The order of `history` does not matter."""
    rule = rule_for(dispute)
    if rule is None:
        return Finding(rule=None, missing=("no network has a rule by which earlier payments answer this claim",))
    if disputed is None or dispute.first_at is None:
        return Finding(rule=rule.name, missing=("the disputed payment is not among ours",))
    return apply(rule, disputed, dispute.first_at, history)


def readiness(purchases: Iterable[Purchase], now: datetime) -> tuple[Finding, ...]:
    """What each rule would say if the newest payment of its network were disputed `now`; nothing of networks that none of
    the `purchases`, all of one subscriber, was made by."""
    known = list(purchases)
    found = []
    for rule in RULES:
        own = [one for one in known if list_of(one.network or "") == rule.network]
        if own:
            newest = max(own, key=lambda one: (one.at, one.provider, one.payment_id))
            found.append(apply(rule, newest, now, known))
    return tuple(found)


def apply(rule: Rule, disputed: Purchase, opened_at: datetime, history: Iterable[Purchase]) -> Finding:
    """`rule` on `disputed`, of which the dispute was opened at `opened_at`."""
    earlier = {name_of(one): one for one in history if one.at < disputed.at and name_of(one) != name_of(disputed)}
    unfit = {
        name: why
        for name, one in sorted(earlier.items())
        if (why := _unfit(rule, one, disputed, opened_at)) is not None
    }
    fit = {name: alike(one, disputed) for name, one in sorted(earlier.items()) if name not in unfit}
    for wanted in rule.combinations():
        usable = [earlier[name] for name, elements in fit.items() if wanted <= elements]
        if len(usable) >= PRIORS:
            priors = sorted(usable, key=lambda one: _preference(one, disputed))[:PRIORS]
            matched = tuple(one for one in ELEMENTS if one in wanted)
            evidence = CompellingEvidence(rule=rule.name, disputed=disputed, priors=tuple(priors), matched=matched)
            return Finding(rule=rule.name, evidence=evidence, unfit=unfit)
    return Finding(rule=rule.name, missing=tuple(_missing(rule, disputed, unfit, list(fit.values()))), unfit=unfit)


def name_of(purchase: Purchase) -> str:
    return f"{purchase.provider}:{purchase.payment_id}"


def alike(one: Purchase, other: Purchase) -> frozenset[str]:
    """The elements that both have, in a form that networks take, and have alike."""
    mine, theirs = elements(one), elements(other)
    return frozenset(name for name in mine.keys() & theirs.keys() if mine[name] == theirs[name])


def elements(purchase: Purchase) -> Mapping[str, str]:
    """What `purchase` can show: a public address in its usual form, a device id that is long enough, a login."""
    told = {IP: public(purchase.ip), DEVICE: (purchase.device_id or "").strip(), LOGIN: (purchase.login or "").strip()}
    if len(told[DEVICE]) < DEVICE_CHARACTERS:
        told[DEVICE] = ""
    return {name: text for name, text in told.items() if text}


def public(ip: str | None) -> str:
    """An address that means somebody: a private one is everybody's."""
    found = address(ip or "")
    if found is None:
        return ""
    read = ip_address(found)
    return found if read.is_global and not read.is_multicast else ""


def same_card(one: Purchase, other: Purchase) -> bool:
    """Whether both were paid with one card. At one provider its fingerprint says so. At two it is the same when all that may
    be kept of its number is: within one subscriber's cards that is no coincidence."""
    if one.provider == other.provider:
        return one.credential is not None and one.credential == other.credential
    known = None not in (one.bin, one.last4)
    return known and (one.bin, one.last4) == (other.bin, other.last4)


OTHER_CARD = "was paid with another card, or with one of which too little is known"
TOO_YOUNG = f"is younger than {YOUNGEST.days} days"
TOO_OLD = f"is older than {OLDEST.days} days"
DISPUTED = "was disputed itself"
REPORTED = "was reported as fraud"
UNSETTLED = "did not settle, or was given back"
UNREFERENCED = "was made at another provider, which told no reference of the network"


def _unfit(rule: Rule, prior: Purchase, disputed: Purchase, opened_at: datetime) -> str | None:
    """The first criterion that `prior` does not meet, in words."""
    ages = (disputed.at - prior.at, opened_at - prior.at)
    if list_of(prior.network or "") != rule.network:
        return f"was not paid through {rule.network}"
    if not same_card(prior, disputed):
        return OTHER_CARD
    if min(ages) < YOUNGEST:
        return TOO_YOUNG
    if max(ages) > OLDEST:
        return TOO_OLD
    if prior.disputed:
        return DISPUTED
    if prior.fraud_reported:
        return REPORTED
    if not prior.settled:
        return UNSETTLED
    if prior.amount.minor <= 0:
        return "moved no money"
    if prior.provider != disputed.provider and prior.network_reference is None:
        return UNREFERENCED
    return None


def _preference(prior: Purchase, disputed: Purchase) -> tuple[bool, bool, float, str]:
    """First those that the provider who is answered knows itself, then those that the network can look up, then the newest."""
    away = prior.provider != disputed.provider
    return away, prior.network_reference is None, -prior.at.timestamp(), name_of(prior)


NO_CARD = "the disputed payment tells nothing by which its card could be known again"
TOO_FEW_ELEMENTS = "the disputed payment tells fewer than two of address, device and login"


def untold(group: Set[str]) -> str:
    """That the disputed payment has none of `group`, of which the rule wants one."""
    return f"the disputed payment tells no {' and no '.join(WORDS[one] for one in ELEMENTS if one in group)}"


def too_few(priors: int) -> str:
    """That so many earlier payments can be used, and no more."""
    return f"{PRIORS} earlier payments are needed that can be used, and there {_are(priors)}"


def too_little_alike(priors: object, *alike: object) -> str:
    """alike: on how many of the `priors` each of ELEMENTS is."""
    told = ", ".join(f"{WORDS[name]} on {count}" for name, count in zip(ELEMENTS, alike, strict=True))
    return f"of {priors} earlier payments that can be used, alike are: {told}; two must share enough"


def _missing(rule: Rule, disputed: Purchase, unfit: Mapping[str, str], fit: Sequence[frozenset[str]]) -> Iterable[str]:
    there = elements(disputed)
    if disputed.credential is None and None in (disputed.bin, disputed.last4):
        yield NO_CARD
    if list_of(disputed.network or "") != rule.network:
        yield f"the disputed payment is not known to have gone through {rule.network}"
    for group in rule.alike:
        if not group & there.keys():
            yield untold(group)
    if len(there) < PRIORS:
        yield TOO_FEW_ELEMENTS
    if len(fit) < PRIORS:
        yield too_few(len(fit))
        counted = Counter(unfit.values())
        yield from (f"of the others {count}: {why}" for why, count in sorted(counted.items()))
        return
    counted = Counter(name for one in fit for name in one)
    yield too_little_alike(len(fit), *(counted[name] for name in ELEMENTS))


def _are(count: int) -> str:
    return {0: "are none", 1: "is one"}.get(count, f"are {count}")


WORDS = {IP: "public address", DEVICE: f"device id of {DEVICE_CHARACTERS} characters", LOGIN: "login"}
