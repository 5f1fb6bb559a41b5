"""The contract of `manage_dispute`, version 1: what people do about disputes, beside the clock that answers them.

Who may call is decided by Google IAM, in front of the function; who called is what their ID token says, and stands in the
dispute and in `dispute_updates`. Members may be added within a version; none is taken away and none changes its meaning.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from shared.disputes.compelling import Finding
from shared.disputes.matching import Sought
from shared.domain.answers import Act
from shared.domain.disputes import Answer, Dispute
from shared.domain.events import Alert, DisputeReason
from shared.domain.money import Money
from shared.domain.privacy import mask
from shared.flows.answering import accept, hold, recorded_elsewhere, submit
from shared.flows.audit import Errand, audited
from shared.flows.dispute_desk import before_a_refund, due_next, ready_for, view
from shared.flows.hear_alert import Heard, hear_alert
from shared.flows.ports import Ports
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, DoesNotFit, Operation, ToldMoney

LARGEST = 16 << 10
PATH = "/v1/disputes"
DUE_WITHIN = timedelta(days=3)

Name = Annotated[str, StringConstraints(max_length=300, pattern=r"^[!-~]([ -~]*[!-~])?$")]


def _harmless(value: str) -> str:
    if mask(value) != value:
        raise ValueError("it could be a card's number or an address")
    return value


Harmless = Annotated[Name, AfterValidator(_harmless)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


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
    until: AwareDatetime = Field(strict=False)


class Record(Named):
    """An answer was given at the provider by other ways, as on its dashboard: a deadline met is never called missed."""

    reason: Why
    act: Literal["submit", "accept"]
    at: AwareDatetime = Field(strict=False)


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
    issued_at: AwareDatetime = Field(strict=False)
    respond_by: AwareDatetime | None = Field(
        None, strict=False, description="Until when the network wants its outcome; else 24 hours (ethoca) or 72 (cdrn)"
    )
    amount: Amount
    reason: DisputeReason | None = Field(None, strict=False)
    network: Annotated[str, StringConstraints(pattern="^[a-z_]{1,40}$")] | None = None
    payment_id: Harmless | None = Field(
        None, description="The payment by its own name at its provider or an alias, if known"
    )
    card_bin: Annotated[str, StringConstraints(pattern="^[0-9]{6,8}$")] | None = Field(None, repr=False)
    card_last4: Annotated[str, StringConstraints(pattern="^[0-9]{4}$")] | None = Field(None, repr=False)
    paid_at: AwareDatetime | None = Field(None, strict=False, description="When it was paid, by the issuer's books")
    refunded: bool = Field(False, description="The network's own rules have refunded it (RDR)")

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

    @classmethod
    def of(cls, answer: Answer) -> "ToldAnswer":
        return cls(**{name: getattr(answer, name) for name in cls.model_fields})


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


def desk(app: App) -> entry.Handler:
    """What is due at GET /v1/disputes, what people do at its POSTs, and GET /openapi.json."""

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
        by, one = call.caller(), contracts.read(call.body, Accept)
        why = mask(one.reason)
        return ToldDispute.of(accept(on(by, why, "accept"), one.provider, one.dispute_id, by, why, app.now()))

    def held(call: entry.Call) -> BaseModel:
        by, one = call.caller(), contracts.read(call.body, Hold)
        why = mask(one.reason)
        return ToldDispute.of(hold(on(by, why, "hold"), one.provider, one.dispute_id, by, why, app.now(), one.until))

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
        match = hear_alert(heard, app.ports, app.now())
        dispute_id = f"{heard.alert}:{heard.alert_id}"
        return ToldMatch(provider=heard.provider, dispute_id=dispute_id, payment_id=match.payment_id, why=match.why)

    def readied(call: entry.Call) -> BaseModel:
        call.caller()
        found = ready_for(app.ports, contracts.read(call.body, ReadinessOf).customer_id, app.now())
        return ToldReadiness(findings=tuple(map(ToldFinding.of, found)))

    acts = {
        "readiness": readied,
        "case": shown,
        "submit": submitted,
        "accept": accepted,
        "hold": held,
        "record": recorded,
        "refund": advised,
        "alert": alerted,
    }
    return contracts.desk(PATH, listed, acts, openapi, LARGEST)


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
        ],
        LARGEST,
        signed=True,
    )


if __name__ == "__main__":
    print(openapi().decode(), end="")  # for the document in the repository
