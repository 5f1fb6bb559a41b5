"""The contract of `manage_dispute`, version 1: what people do about disputes, beside the clock that answers them, and by what
the clock decides: the strategy, published a version at a time.

Who may call is decided by Google IAM, in front of the function; who called is what their ID token says, and stands in the
dispute and in `dispute_updates`. Members may be added within a version; none is taken away and none changes its meaning.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, JsonValue, StringConstraints, model_validator

from shared.disputes import files
from shared.disputes.compelling import Finding
from shared.disputes.matching import Sought
from shared.disputes.strategy import SHIPPED, SOONEST, Costs, Strategy
from shared.domain.answers import Act
from shared.domain.disputes import Answer, Dispute, Supplied
from shared.domain.errors import Rejected
from shared.domain.events import Alert, DisputeReason
from shared.domain.evidence import Item
from shared.domain.money import Money
from shared.domain.privacy import mask
from shared.flows.answering import (
    LONGEST_TEXT,
    Piece,
    accept,
    hold,
    piece_of,
    recorded_elsewhere,
    submit,
    supply,
    withdraw,
)
from shared.flows.audit import Errand, audited
from shared.flows.dispute_desk import before_a_refund, due_next, ready_for, view
from shared.flows.hear_alert import Heard, hear_alert
from shared.flows.ports import Ports
from shared.flows.revisions import Revision
from shared.flows.strategies import STRATEGIES, kept_strategy, publish_strategy, rehearse, standing_strategy
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, DoesNotFit, Instant, Operation, Prose, ToldMoney, Why

LARGEST = 16 << 10
LARGEST_EVIDENCE = 7 << 20
"""A file in base64, and what names it. Cloud Run lets in 32 MB."""
PATH = "/v1/disputes"
DUE_WITHIN = timedelta(days=3)
AHEAD = timedelta(hours=1)
"""So far may the clock of who passes an alert on be ahead of ours."""

Name = Annotated[str, StringConstraints(max_length=300, pattern=r"^[!-~]([ -~]*[!-~])?$")]


def _harmless(value: str) -> str:
    if mask(value) != value:
        raise ValueError("it could be a card's number or an address")
    return value


Harmless = Annotated[Name, AfterValidator(_harmless)]


class Named(Closed):
    """As `dispute_updates` names it."""

    provider: Name
    dispute_id: Name


class Submit(Named):
    """The best evidence that there is goes out now; an alert is answered without a refund. It cannot be taken back."""

    reason: Why
    acknowledged: bool = Field(
        False,
        description="The caller agrees to what this contest costs beside ordinary fees (`contest_fee`, arbitration)",
    )


class Accept(Named):
    """The claim is accepted now; the payment of an alert is refunded, unless that would pay twice. It cannot be taken back."""

    reason: Why


class Hold(Named):
    """Nothing goes out until then; after it, it is decided anew. Never so long that the deadline would pass."""

    reason: Why
    until: Instant


class Record(Named):
    """An answer was given at the provider by other ways, as on its dashboard: a deadline met is never called missed."""

    reason: Why
    act: Literal["submit", "accept"]
    at: Instant


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("not base64") from None
    return text


class Evidence(Named):
    """A piece of people's own evidence: a text, or a file. With it the answer is decided anew."""

    item: Literal[tuple(one.value for one in Item)] = Field(description="What it is about")  # type: ignore[valid-type]
    text: Annotated[Prose, StringConstraints(max_length=LONGEST_TEXT)] | None = Field(
        None, repr=False, description="In the place of ours. Card numbers, IBANs and e-mail addresses in it are masked"
    )
    file: (
        Annotated[
            str,
            StringConstraints(min_length=4, max_length=4 * -(-files.LARGEST // 3)),
            AfterValidator(_base64),
        ]
        | None
    ) = Field(
        None,
        repr=False,
        description=f"Beside ours: a PDF, PNG or JPEG of {files.LARGEST} bytes at most, in base64",
        json_schema_extra={"contentEncoding": "base64"},
    )

    @model_validator(mode="after")
    def _either(self) -> "Evidence":
        if (self.text is None) == (self.file is None):
            raise ValueError("either a text or a file")
        return self

    def piece(self) -> Piece:
        """Raises NotTaken for a file that is none."""
        data = None if self.file is None else base64.b64decode(self.file)
        return piece_of(Item(self.item), text=self.text, data=data)


class Withdraw(Named):
    """A piece of people's own evidence is not sent. With what is left the answer is decided anew."""

    name: Name = Field(description="As `evidence` of the answer names it")


class Amount(Closed):
    """Minor units: 999 EUR is EUR 9.99."""

    minor: int = Field(gt=0, le=10**12)
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = Field(description="ISO 4217, in capitals")


class AlertTold(Closed):
    """What a network tells before a dispute is filed, passed on by whoever hears it (Ethoca pushes over mutual TLS alone, and
    Verifi to resellers). provider, account: where the payment was made, by the descriptor or merchant id that the alert names."""

    alert: Literal["ethoca", "cdrn", "rdr"]
    alert_id: Harmless = Field(description="The network's own: its copies are one alert")
    provider: Name
    account: Name = Field(description="As `payment_events` names it")
    livemode: bool = True
    issued_at: Instant
    respond_by: Instant | None = Field(
        None, description="Until when the network wants its outcome; else 24 hours (ethoca) or 72 (cdrn)"
    )
    amount: Amount
    reason: DisputeReason | None = Field(None, strict=False)
    network: Annotated[str, StringConstraints(pattern="^[a-z_]{1,40}$")] | None = None
    payment_id: Harmless | None = Field(
        None, description="The payment by its own name at its provider or an alias, if known"
    )
    card_bin: Annotated[str, StringConstraints(pattern="^[0-9]{6,8}$")] | None = Field(None, repr=False)
    card_last4: Annotated[str, StringConstraints(pattern="^[0-9]{4}$")] | None = Field(None, repr=False)
    paid_at: Instant | None = Field(None, description="When it was paid, by the issuer's books")
    refunded: bool = Field(False, description="The network's own rules have refunded it (RDR)")

    @model_validator(mode="after")
    def _in_order(self) -> "AlertTold":
        if self.respond_by is not None and self.respond_by <= self.issued_at:
            raise ValueError("respond_by is after issued_at")
        return self

    def heard(self) -> Heard:
        return Heard(
            alert=Alert(self.alert),
            alert_id=self.alert_id,
            provider=self.provider,
            account=self.account,
            livemode=self.livemode,
            sought=Sought(
                amount=Money(self.amount.minor, self.amount.currency),
                bin=self.card_bin,
                last4=self.card_last4,
                paid_at=self.paid_at,
            ),
            issued_at=self.issued_at,
            respond_by=self.respond_by,
            payment_id=self.payment_id,
            reason=self.reason,
            network=self.network,
            refunded=self.refunded,
        )


class ToldMatch(Closed):
    """dispute_id: by which the alert is answered from here on; its outcome comes on `dispute-actions` (`alert_answered`).
    payment_id: null where a person has to say which payment is meant."""

    provider: str
    dispute_id: str
    payment_id: str | None
    why: str


class RefundOf(Closed):
    """A payment by its own name at its provider or by an alias."""

    provider: Name
    payment_id: Name


class ReadinessOf(Closed):
    """A subscriber, as payments name whoever paid."""

    customer_id: Name


class ToldEvidence(Closed):
    """A piece of people's own evidence. withdrawn_by: who has taken it out again; it is not sent."""

    name: str
    item: str
    sha256: str
    media_type: str
    bytes: int
    pages: int
    by: str
    at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, name: str, piece: Supplied) -> "ToldEvidence":
        return cls(name=name, **{member: getattr(piece, member) for member in cls.model_fields if member != "name"})


class ToldAnswer(Closed):
    """How far our answer is. chance: of winning, low and high. told: why nothing more happens by itself, in the provider's
    words."""

    state: str
    act: str | None
    by: str
    why: tuple[str, ...]
    at: datetime
    due_at: datetime | None
    answered_at: datetime | None
    chance: tuple[float, ...]
    completeness: float | None
    packet: str | None
    reference: str | None
    code: str | None
    told: str | None
    tries: int
    evidence: tuple[ToldEvidence, ...]

    @classmethod
    def of(cls, answer: Answer) -> "ToldAnswer":
        told = {name: getattr(answer, name) for name in cls.model_fields if name != "evidence"}
        pieces = sorted(answer.supplied.items(), key=lambda each: (each[1].at, each[0]))
        return cls(**told, evidence=tuple(ToldEvidence.of(name, piece) for name, piece in pieces))


class ToldDispute(Closed):
    """A dispute, as it stands. answers: by round, the present one under `round`."""

    provider: str
    dispute_id: str
    account: str
    livemode: bool
    payment_id: str | None
    stage: str | None
    status: str | None
    told_status: str | None
    final: bool
    amount: ToldMoney | None
    contest_fee: ToldMoney | None
    reason: str | None
    reason_code: str | None
    network: str | None
    respond_by: datetime | None
    respond_by_text: str | None
    alert: str | None
    deadline_estimated: bool
    can_respond: bool
    answered_by: str | None
    next_action_at: datetime | None
    round: str | None
    answers: dict[str, ToldAnswer]

    @classmethod
    def of(cls, dispute: Dispute) -> "ToldDispute":
        told = {name: getattr(dispute, name) for name in cls.model_fields}
        told["amount"], told["contest_fee"] = ToldMoney.of(dispute.amount), ToldMoney.of(dispute.contest_fee)
        told["answers"] = {name: ToldAnswer.of(one) for name, one in dispute.answers.items()}
        return cls(**told)


class ToldDisputes(Closed):
    """The hundred at which the clock is due first, of the next three days."""

    disputes: tuple[ToldDispute, ...]


class ToldAdvice(Closed):
    """left: what could go back at most without paying twice."""

    may: Literal["yes", "no", "ask"]
    left: ToldMoney | None
    why: tuple[str, ...]


class ToldFinding(Closed):
    """ready: a claim of fraud on the subscriber's newest payment in this network would be answered by its own criteria. priors:
    by which payments; matched: what all have alike. missing: why not. unfit: of earlier payments that cannot be used, why."""

    rule: str
    ready: bool
    priors: tuple[str, ...]
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unfit: dict[str, str]

    @classmethod
    def of(cls, finding: Finding) -> "ToldFinding":
        evidence = finding.evidence
        return cls(
            rule=finding.rule or "",
            ready=evidence is not None,
            priors=tuple(f"{one.provider}:{one.payment_id}" for one in evidence.priors) if evidence else (),
            matched=evidence.matched if evidence else (),
            missing=finding.missing,
            unfit=dict(finding.unfit),
        )


class ToldReadiness(Closed):
    """A network by which the subscriber never paid is not among them."""

    findings: tuple[ToldFinding, ...]


Hours = Annotated[int, Field(ge=SOONEST // timedelta(hours=1), le=30 * 24)]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Prior = Annotated[float, Field(ge=0.001, le=0.999, allow_inf_nan=False)]
Minor = Annotated[int, Field(ge=0, le=10**9)]
Version = Annotated[int, Field(ge=0, le=99_999_999)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


class ToldCosts(Closed):
    """In minor units. answer: what an answer costs beside the provider's fee; accept_below: what may be accepted without a
    person, 0 being nothing; programme_item: what one more dispute costs in a network's programme; dispute_fee: what the provider
    takes for a dispute; refund_below: what may be refunded without a person to have no dispute, 0 being nothing."""

    answer: Minor
    accept_below: Minor
    programme_item: Minor
    dispute_fee: Minor
    refund_below: Minor


class ToldStrategy(Closed):
    """priors: of winning, by reason, with the weight of so many disputes. completeness: what the emptiest packet keeps of it;
    compelling: what it is at least where a network's own criteria are met. costs: by currency; in another one nothing is
    accepted without a person. escalates: how often a lost inquiry becomes a chargeback. announced_hours: how long people are
    told before an acceptance; buffer_hours: how long before the deadline an answer goes out whatever it is worth. unproven:
    what the interval leaves out on each side."""

    priors: dict[DisputeReason, Prior]
    weight: Annotated[float, Field(ge=0.1, le=10_000, allow_inf_nan=False)]
    completeness: Part
    compelling: Part
    costs: Annotated[dict[Currency, ToldCosts], Field(max_length=200)]
    escalates: Part
    announced_hours: Hours
    buffer_hours: Hours
    unproven: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _whole(self) -> "ToldStrategy":
        if set(self.priors) != set(DisputeReason):
            raise ValueError("every reason has a prior")
        return self

    def strategy(self) -> Strategy:
        """Ready to publish."""
        return Strategy(
            **{name: getattr(self, name) for name in _ALIKE},
            costs={currency: Costs(**one.model_dump()) for currency, one in self.costs.items()},
            announced=timedelta(hours=self.announced_hours),
            buffer=timedelta(hours=self.buffer_hours),
        )

    @classmethod
    def of(cls, strategy: Strategy) -> "ToldStrategy":
        """As it is, also one that was published before there were these bounds."""
        names = ToldCosts.model_fields
        return cls.model_construct(
            **{name: getattr(strategy, name) for name in _ALIKE},
            costs={
                currency: ToldCosts(**{name: getattr(one, name) for name in names})
                for currency, one in strategy.costs.items()
            },
            announced_hours=strategy.announced // timedelta(hours=1),
            buffer_hours=strategy.buffer // timedelta(hours=1),
        )


_ALIKE = ("priors", "weight", "completeness", "compelling", "escalates", "unproven")


class StrategyOf(Closed):
    """One version, 0 being what is shipped; null: what stands."""

    version: Version | None = None


class CheckStrategy(Closed):
    strategy: ToldStrategy


class PublishStrategy(Closed):
    """after: the version that it was made from."""

    strategy: ToldStrategy
    after: Version
    reason: Why


class BackTo(Closed):
    """An older version once more, as a new one; 0: what is shipped."""

    to: Version
    reason: Why


class StrategiesBefore(Closed):
    """Versions from the one before `before` on; null: from the newest."""

    before: Version | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 20


class ShownStrategy(Closed):
    """standing: the version that decides now. Decisions name theirs: `strategy/<version>`."""

    version: int
    standing: int
    strategy: ToldStrategy

    @classmethod
    def of(cls, strategy: Strategy, standing: int) -> "ShownStrategy":
        return cls(version=strategy.version, standing=standing, strategy=ToldStrategy.of(strategy))


class ChangedMember(Closed):
    """before, after: null where there is none."""

    member: str
    before: JsonValue
    after: JsonValue


class ComparedStrategy(Closed):
    """What differs from the version that stands."""

    standing: int
    changes: tuple[ChangedMember, ...]

    @classmethod
    def of(cls, standing: Strategy, candidate: Strategy) -> "ComparedStrategy":
        before, after = (_flat(ToldStrategy.of(one).model_dump(mode="json")) for one in (standing, candidate))
        changes = (
            ChangedMember(member=name, before=before.get(name), after=after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        )
        return cls(standing=standing.version, changes=tuple(changes))


def _flat(told: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


class ToldVersion(Closed):
    version: int
    after: int
    author: str
    why: str
    at: datetime

    @classmethod
    def of(cls, one: Revision) -> "ToldVersion":
        return cls(version=one.revision, after=one.after or 0, author=one.author, why=one.why, at=one.at)


class ToldVersions(Closed):
    versions: tuple[ToldVersion, ...]


class StrategyUnknown(Rejected):
    reason = "unknown_version"
    status = 404


def desk(app: App) -> entry.Handler:
    """What is due at GET /v1/disputes, what people do at its POSTs, and GET /openapi.json. Raises Misconfigured."""
    app.settings.evidence_bucket()

    def listed(call: entry.Call) -> BaseModel:
        call.caller()
        return ToldDisputes(disputes=tuple(map(ToldDispute.of, due_next(app.ports.documents, app.now(), DUE_WITHIN))))

    def shown(call: entry.Call) -> BaseModel:
        call.caller()
        asked = contracts.read(call.body, Named)
        return ToldDispute.of(view(app.ports.documents, asked.provider, asked.dispute_id))

    def on(by: str, why: str, act: str) -> Ports:
        """Ports whose commits the audit tells of."""
        return audited(app.ports, Errand(who=by, why=why, what=f"manage_dispute {act}", at=app.now()))

    def submitted(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, Submit)
        why = mask(one.reason)
        named = (on(by, why, "submit"), one.provider, one.dispute_id, by, why, app.now())
        return ToldDispute.of(submit(*named, acknowledged=one.acknowledged))

    def accepted(call: entry.Call) -> BaseModel:
        from shared.runtime.responders import check_acceptance

        by, one = call.caller(), contracts.read(call.body, Accept)
        check_acceptance(one.provider, lambda: view(app.ports.documents, one.provider, one.dispute_id))
        why = mask(one.reason)
        return ToldDispute.of(accept(on(by, why, "accept"), one.provider, one.dispute_id, by, why, app.now()))

    def held(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, Hold)
        why = mask(one.reason)
        return ToldDispute.of(hold(on(by, why, "hold"), one.provider, one.dispute_id, by, why, app.now(), one.until))

    def supplied(call: entry.Call) -> BaseModel:
        from shared.runtime.responders import responder

        by, one = call.caller(), contracts.read(call.body, Evidence)
        piece, own = one.piece(), responder(one.provider)
        return ToldDispute.of(
            supply(
                on(by, f"evidence about {one.item}", "evidence"),
                one.provider,
                one.dispute_id,
                by,
                app.now(),
                piece,
                own,
            )
        )

    def withdrawn(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, Withdraw)
        return ToldDispute.of(
            withdraw(
                on(by, f"evidence {one.name} is not sent", "withdraw"),
                one.provider,
                one.dispute_id,
                by,
                app.now(),
                one.name,
            )
        )

    def recorded(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, Record)
        why, act = mask(one.reason), Act(one.act)
        named = (on(by, why, "record"), one.provider, one.dispute_id, by, why)
        return ToldDispute.of(recorded_elsewhere(*named, act, one.at, app.now()))

    def advised(call: entry.Call) -> BaseModel:
        call.caller()
        asked = contracts.read(call.body, RefundOf)
        advice = before_a_refund(app.ports.documents, asked.provider, asked.payment_id)
        return ToldAdvice(may=advice.may.value, left=ToldMoney.of(advice.left), why=advice.why)

    def alerted(call: entry.Call) -> BaseModel:
        call.caller()
        heard, served = contracts.read(call.body, AlertTold).heard(), app.settings.providers
        if served and heard.provider not in served:
            raise DoesNotFit(f"provider: there is none of this name here; there are: {', '.join(served)}")
        now = app.now()
        if heard.issued_at > now + AHEAD:
            raise DoesNotFit("issued_at: it is yet to come")
        match = hear_alert(heard, app.ports, now)
        dispute_id = f"{heard.alert}:{heard.alert_id}"
        return ToldMatch(provider=heard.provider, dispute_id=dispute_id, payment_id=match.payment_id, why=match.why)

    def readied(call: entry.Call) -> BaseModel:
        call.caller()
        found = ready_for(app.ports, contracts.read(call.body, ReadinessOf).customer_id, app.now())
        return ToldReadiness(findings=tuple(map(ToldFinding.of, found)))

    def shown_strategy(call: entry.Call) -> BaseModel:
        call.caller()
        version = contracts.read(call.body, StrategyOf).version
        standing = standing_strategy(app.ports.documents)
        return ShownStrategy.of(standing if version is None else _kept(app, version), standing.version)

    def checked_strategy(call: entry.Call) -> BaseModel:
        call.caller()
        candidate = contracts.read(call.body, CheckStrategy).strategy.strategy()
        rehearse(candidate, app.now())
        return ComparedStrategy.of(standing_strategy(app.ports.documents), candidate)

    def published_strategy(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, PublishStrategy)
        why = mask(one.reason)
        ports = on(by, why, "strategy publish")
        version = publish_strategy(ports, one.strategy.strategy(), app.now(), after=one.after, author=by, why=why)
        return ShownStrategy.of(_kept(app, version), version)

    def back(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, BackTo)
        again, standing = _kept(app, one.to), STRATEGIES.now(app.ports.documents)
        after, why = standing["revision"] if standing else SHIPPED.version, mask(one.reason)
        version = publish_strategy(on(by, why, "strategy back"), again, app.now(), after=after, author=by, why=why)
        return ShownStrategy.of(_kept(app, version), version)

    def past(call: entry.Call) -> BaseModel:
        call.caller()
        asked = contracts.read(call.body, StrategiesBefore)
        found = STRATEGIES.history(app.ports.documents, before=asked.before, limit=asked.limit)
        return ToldVersions(versions=tuple(map(ToldVersion.of, found)))

    acts = {
        "strategy": shown_strategy,
        "strategy/check": checked_strategy,
        "strategy/publish": published_strategy,
        "strategy/back": back,
        "strategy/history": past,
        "readiness": readied,
        "case": shown,
        "submit": submitted,
        "accept": accepted,
        "hold": held,
        "record": recorded,
        "evidence": supplied,
        "withdraw": withdrawn,
        "refund": advised,
        "alert": alerted,
    }
    return contracts.desk(PATH, listed, acts, openapi, LARGEST, {"evidence": LARGEST_EVIDENCE})


def _kept(app: App, version: int) -> Strategy:
    found = kept_strategy(app.ports.documents, version)
    if found is None:
        raise StrategyUnknown(f"there is no version {version}")
    return found


@cache
def openapi() -> bytes:
    """The OpenAPI 3.1 document of the function."""
    known = {"401": "Nobody says who calls", "503": "A dependency is down: ask again"}
    one = known | {"404": "No such dispute"}
    acted = one | {"409": "It is answered, on its way, or not asked for: `detail` says which"}
    told = "As it stands now"
    return contracts.openapi(
        "Pay-In: manage a dispute",
        "1",
        "Disputes are answered by the clock; people look, decide otherwise, and record what they did elsewhere.",
        [
            Operation(PATH, "list_disputes", "What is due", ToldDisputes, "The soonest first", refusals=known),
            Operation(f"{PATH}/case", "get_dispute", "All that is known", ToldDispute, told, Named, one),
            Operation(f"{PATH}/submit", "submit", "Send the evidence now", ToldDispute, told, Submit, acted),
            Operation(f"{PATH}/accept", "accept", "Accept the claim now", ToldDispute, told, Accept, acted),
            Operation(f"{PATH}/hold", "hold", "Send nothing for a while", ToldDispute, told, Hold, acted),
            Operation(f"{PATH}/record", "record", "It was answered elsewhere", ToldDispute, told, Record, acted),
            Operation(
                f"{PATH}/evidence",
                "put_evidence",
                "Put a text or a file to the answer",
                ToldDispute,
                told,
                Evidence,
                acted,
                LARGEST_EVIDENCE,
            ),
            Operation(
                f"{PATH}/withdraw",
                "withdraw_evidence",
                "Take a piece out again",
                ToldDispute,
                told,
                Withdraw,
                acted | {"404": "No such dispute, or no such piece"},
            ),
            Operation(
                f"{PATH}/readiness",
                "readiness",
                "Could a claim of fraud be answered",
                ToldReadiness,
                "What each network's own rule would say today",
                ReadinessOf,
                known,
            ),
            Operation(
                f"{PATH}/refund",
                "may_refund",
                "Ask before a refund",
                ToldAdvice,
                "Whether it would pay twice",
                RefundOf,
                known,
            ),
            Operation(
                f"{PATH}/alert",
                "hear_alert",
                "Pass an alert on",
                ToldMatch,
                "Which payment it means",
                AlertTold,
                known,
            ),
            *_strategies(known),
        ],
        LARGEST,
        signed=True,
    )


def _strategies(known: Mapping[str, str]) -> list[Operation]:
    at, there = f"{PATH}/strategy", {**known, "404": "No such version"}
    late = {**there, "409": "Another version stands by now: `detail` says which"}
    stands, asks = "As it stands from now on, within a minute", "By what disputes are fought or accepted"
    return [
        Operation(at, "get_strategy", asks, ShownStrategy, "One version", StrategyOf, there),
        Operation(
            f"{at}/check",
            "check_strategy",
            "What it would change",
            ComparedStrategy,
            "It may be published",
            CheckStrategy,
            known,
        ),
        Operation(f"{at}/publish", "publish_strategy", "Decide by it", ShownStrategy, stands, PublishStrategy, late),
        Operation(f"{at}/back", "take_strategy_back", "Decide as before", ShownStrategy, stands, BackTo, late),
        Operation(
            f"{at}/history",
            "list_strategies",
            "Who changed it, and why",
            ToldVersions,
            "The newest first",
            StrategiesBefore,
            known,
        ),
    ]
