"""The contract of `manage_dispute`, version 1: what people do about disputes, beside the clock that answers them.

Who may call is decided by Google IAM, in front of the function; who called is what their ID token says, and stands in the
dispute and in `dispute_updates`. Members may be added within a version; none is taken away and none changes its meaning.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from shared.disputes.compelling import Finding
from shared.domain.answers import Act
from shared.domain.disputes import Answer, Dispute
from shared.domain.privacy import mask
from shared.flows.answering import accept, hold, recorded_elsewhere, submit
from shared.flows.audit import Errand, audited
from shared.flows.dispute_desk import before_a_refund, due_next, ready_for, view
from shared.flows.ports import Ports
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, Operation, ToldMoney

LARGEST = 16 << 10
PATH = "/v1/disputes"
DUE_WITHIN = timedelta(days=3)

Name = Annotated[str, StringConstraints(max_length=300, pattern=r"^[!-~]([ -~]*[!-~])?$")]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


class Named(Closed):
    """As `dispute_updates` names it."""

    provider: Name
    dispute_id: Name


class Submit(Named):
    """The best evidence that there is goes out now. It cannot be taken back."""

    reason: Why
    acknowledged: bool = Field(
        False,
        description="The caller agrees to what this contest costs beside ordinary fees (`contest_fee`, arbitration)",
    )


class Accept(Named):
    """The claim is accepted now. It cannot be taken back."""

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
        ],
        LARGEST,
        signed=True,
    )
