"""What became of past payments teaches a model, and if it has learned enough it becomes the champion."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from shared.domain.codec import encode
from shared.domain.errors import Misconfigured, Rejected
from shared.domain.telemetry import alarm, fact
from shared.flows.audit import Errand, audited
from shared.flows.challengers import dismiss, give_share, pin, promote, put_line, roll_back, standing_line
from shared.flows.champions import Champion
from shared.flows.cohorts import compare_challenger
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change
from shared.flows.nights import Night, Verdict, remember, tell_last
from shared.flows.ports import Ports
from shared.flows.recompute_decisions import recompute_decisions
from shared.flows.scorer import CHAMPION
from shared.flows.training_job import Elsewhere, hand_over
from shared.fraud import model as artifacts
from shared.fraud.features import LONG_TAILED, NAMES, SCHEMA_VERSION, TRAINING_EXCLUDED, microseconds
from shared.fraud.model import Model
from shared.fraud.point_in_time import logged_sql, served_sql
from shared.fraud.policy import Capacity, Costs, cheapest, within_capacity
from shared.learning import request as requests
from shared.learning.request import (
    Compare,
    Dismiss,
    GiveShare,
    Pin,
    Promote,
    Recompute,
    RollBack,
    TrainingRequest,
    Unpin,
)

if TYPE_CHECKING:
    from shared.learning.card import Card
    from shared.learning.compare import Comparison, Interval
    from shared.learning.data_set import Floats, Sampling, Table
    from shared.learning.evaluate import Quality
    from shared.learning.fit import Fitted
    from shared.learning.maturity import Maturity
    from shared.learning.split import Slices

COLUMNS = tuple(name for name in NAMES if name not in TRAINING_EXCLUDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """digest: the stored model; None when training was refused. judged: the one that `quality` is of, fitted without the
    rows that it was tested on; the same, unless it was promoted and fitted on all rows. promoted: it decides from now on, which
    what was trained as a challenger does not.
    verdict: what the gate said of it. objections: why it was refused or does not decide, in sentences. comparison: with the
    model that decided so far, as it was judged, on the same payments.
    """

    digest: str | None
    judged: str | None
    promoted: bool
    verdict: Verdict
    objections: tuple[str, ...]
    payments: int
    frauds: int
    quality: "Quality | None" = None
    comparison: "Comparison | None" = None


def train_model(ports: Ports, now: datetime, parameters: bytes = b"") -> TrainingReport:
    """Read what was served of past payments, label the mature ones, fit, calibrate and test in order of time, and if
    nothing speaks against what was learned, learn it again from all of them: that model is stored and becomes the champion.

    parameters: JSON of `TrainingRequest`. The same rows give the same models, so a repeated tick changes nothing.
    Raises Rejected for parameters that do not fit, Unavailable when a part of the world is down.
    """
    request = requests.read(parameters)
    if not isinstance(request, TrainingRequest):
        raise Rejected("not a training request: another thing is asked", reason="bad_training_request")
    report = _trained(ports, now, request)
    # Who asks for a challenger reads what came of it; nobody is called for an experiment.
    remember(ports.documents, Night(trained_at=now) if request.as_challenger else _night(report, now))
    _watch_age(ports, now, request.stale_days)
    return report


def _night(report: TrainingReport, now: datetime) -> Night:
    return Night(
        trained_at=now,
        night=now,
        verdict=report.verdict,
        digest=report.digest,
        objections="; ".join(report.objections),
        payments=report.payments,
        frauds=report.frauds,
    )


def _trained(ports: Ports, now: datetime, request: TrainingRequest) -> TrainingReport:
    # What only training needs takes seconds to import: not before there is something to train.
    from shared.learning import compare, estimator, evaluate, fit, page, split
    from shared.learning import promote as gate
    from shared.learning.health import Reference

    known = _labeled(ports, now, request)
    whole, share, taught = known.mature, known.share, known.taught
    fact("training_rows_read", rows=len(taught), frauds=taught.frauds, share=share)
    fact("labels_matured", **known.told)
    if not len(whole):
        return _refused(whole, ["there are no payments old enough to have a label"])
    slices = split.time_split(whole, request.train_part, request.calibrate_part, request.gap_days)
    if lacking := _lacking(slices, request):
        return _refused(whole, lacking)

    test = slices.test
    fitted = fit.fit(slices.train, LONG_TAILED, request)
    fact("model_fitted", trees=request.iterations, rows=len(slices.train), frauds=slices.train.frauds)
    judged = _put_right(fitted, fitted, slices.calibrate, share, request)
    scored = judged.score(test.values)
    quality = evaluate.evaluate(scored, test.fraud, test.weight, judged.thresholds)
    origin = {**_origin(request, slices, quality), "maturity": known.told}
    stood = _store(ports, judged, test, origin)

    line = standing_line(ports, ports.documents.get([CHAMPION])[0])
    comparison = _compared(ports, line.current, stood, scored, test, request.seed)
    precision = compare.average_precision(scored, test, request.seed)
    objections = gate.objections(quality, precision, comparison, request.least_frauds_compared, request.least_lift)
    verdict = Verdict.REFUSED if objections else Verdict.PASSED
    if gate.is_worse(comparison, request.least_frauds_compared):
        verdict = Verdict.WORSE
    if line.pinned and line.current is not None and line.current.stood != stood and not request.as_challenger:
        objections += [f"an operator has pinned the champion {line.current.digest}"]
    digest, shown = stood, None
    if not objections:
        everything = fit.fit(taught, LONG_TAILED, request)
        fact("model_refitted", trees=request.iterations, rows=len(taught), frauds=taught.frauds)
        decides = _put_right(everything, fitted, slices.later, share, request)
        digest = _store(ports, decides, test, {**origin, "judged": stood, "rows": len(taught), "frauds": taught.frauds})
        told = {"average_precision": quality.average_precision, "roc_auc": quality.roc_auc}
        kept = [ports.models.store(estimator.dump(forest)) for forest in (everything, fitted)]
        # The test is the end of the rows.
        named = {name: values[-len(test) :] for name, values in known.names.items()}
        card = _card(request, judged, origin, stood, test, scored, named, quality, precision)
        shown = ports.models.store(page.page(card).encode())
        crowned = Champion(
            digest=digest,
            since=now,
            judged=stood,
            estimator=kept[0],
            judged_estimator=kept[1],
            card=ports.models.store(encode(card)),
            page=shown,
            reference=ports.models.store(encode(Reference.of(test, scored))),
            quality=told,
        )
        if request.as_challenger:
            _challenge(ports, crowned)
        elif not _crown(ports, crowned):
            objections += ["an operator has pinned the champion while this one was fitted"]
    report = TrainingReport(
        digest=digest,
        judged=stood,
        promoted=not objections and not request.as_challenger,
        verdict=verdict,
        objections=tuple(objections),
        payments=len(whole),
        frauds=whole.frauds,
        quality=quality,
        comparison=comparison,
    )
    fact(
        "model_trained",
        digest=digest,
        judged=stood,
        page=shown,
        promoted=report.promoted,
        objections="; ".join(objections),
        payments=report.payments,
        frauds=report.frauds,
        average_precision=quality.average_precision,
        average_precision_low=precision.low,
        money=comparison.money.estimate if comparison else None,
        money_low=comparison.money.low if comparison else None,
        money_high=comparison.money.high if comparison else None,
        frauds_compared=comparison.frauds if comparison else None,
        roc_auc=quality.roc_auc,
        recall_at_1_percent_false=quality.recall_at_1_percent_false,
        lift_at_1_percent=quality.lift_at_1_percent,
    )
    return report


@dataclass(frozen=True, slots=True)
class _Learned:
    """A forest, what makes probabilities of its log-odds, and where outcomes begin among them."""

    forest: "Fitted"
    calibration: dict[str, Any]
    thresholds: Mapping[str, float]

    def score(self, values: "Floats") -> "Floats":
        from shared.learning import fit

        return fit.calibrated(self.forest.raw(values), self.calibration)


def _put_right(forest: "Fitted", asked: "Fitted", later: "Table", share: float, request: TrainingRequest) -> _Learned:
    """`forest` with the calibration and the thresholds that the log-odds of `asked` want on `later`, which `asked` has not
    learned from.

    A forest cannot be calibrated on rows that it learned from: it is surer of them than of any to come. The one that
    decides has learned from all, so it takes over what the one that was judged, of the same settings and fewer rows,
    needed on all that came after it.
    """
    from shared.learning import fit

    raw = asked.raw(later.values)
    calibration = fit.calibration(raw, later.fraud, later.weight, share)
    scored = fit.calibrated(raw, calibration)
    capacity = Capacity(challenge=request.challenge_capacity, review=request.review_capacity)
    limits = within_capacity(cheapest(Costs()), zip(scored.tolist(), later.weight.tolist(), strict=True), capacity)
    thresholds = {"challenge": limits.challenge, "review": limits.review, "decline": limits.decline}
    return _Learned(forest, calibration, thresholds)


def _card(
    request: TrainingRequest,
    judged: _Learned,
    origin: Mapping[str, Any],
    digest: str,
    test: "Table",
    scored: "Floats",
    names: Mapping[str, Sequence[str | None]],
    quality: "Quality",
    precision: "Interval",
) -> "Card":
    """What people should know of the model that was judged."""
    from shared.learning import card, compare

    review, drawn = judged.thresholds["review"], compare.draws(test, request.seed, card.RESAMPLES)
    return card.Card(
        model=digest,
        library=origin["library"],
        schema_version=SCHEMA_VERSION,
        period=origin["slices"],
        quality=quality,
        precision=precision,
        thresholds=judged.thresholds,
        parts=card.parts_of(test, names, scored, review, drawn),
        calibration=card.calibration_of(test, scored, review, drawn),
        importance=card.importance_of(judged.forest, test.columns),
    )


def _store(ports: Ports, learned: _Learned, golden: "Table", origin: Mapping[str, object]) -> str:
    """Keep what was learned, proven where it will be used: walked, and held to the trainer's own answers on `golden`."""
    from shared.learning import export

    data = export.export(
        learned.forest,
        golden,
        form=artifacts.FORMAT,
        schema_version=SCHEMA_VERSION,
        calibration=learned.calibration,
        thresholds=learned.thresholds,
        learning=origin,
    )
    digest = ports.models.store(data)
    artifacts.load(ports.models.load(digest), digest)
    return digest


def on_request(ports: Ports, now: datetime, parameters: bytes = b"", elsewhere: Elsewhere | None = None) -> None:
    """Train, where that takes too many rows `elsewhere`, or whatever else an operator asks: `{"roll_back": "<digest>"}`, `{"pin": "<digest>"}`, `{"unpin": "<digest>"}`,
    `{"canary": "<digest>", "share": 0.05}`, `{"promote": "<digest>"}`, `{"dismiss": "<digest>"}`, `{"compare": "<digest>"}`,
    `{"recompute": 1000}`. What came of it is told by facts; what changes who decides, by the audit. Raises Rejected,
    Misconfigured, Unavailable."""
    asked = requests.read(parameters)
    said = Errand(
        who="a message to ticks", why="it gives no reason", what=f"train_model {type(asked).__name__}", at=now
    )
    by_hand = audited(ports, said)
    match asked:
        case RollBack(roll_back=digest):
            roll_back(by_hand, now, digest)
        case Pin(pin=digest):
            pin(by_hand, digest, pinned=True)
        case Unpin(unpin=digest):
            pin(by_hand, digest, pinned=False)
        case Promote(promote=digest):
            promote(by_hand, now, digest)
        case GiveShare(canary=digest, share=share):
            give_share(by_hand.documents, now, digest, share)
        case Dismiss(dismiss=digest):
            dismiss(by_hand.documents, digest)
        case Compare(compare=digest, days=days, mature_days=mature_days):
            compare_challenger(ports, now, digest, timedelta(days=days), timedelta(days=mature_days))
        case Recompute(recompute=decisions, days=days):
            recompute_decisions(ports, now, decisions, timedelta(days=days))
        case TrainingRequest():
            if elsewhere is None or _expected(ports, now, asked, elsewhere.above) <= elsewhere.above:
                train_model(ports, now, parameters)
            else:
                hand_over(elsewhere.jobs, now, parameters)
                # Told here as well: what a job says is in its own log, which no metric counts.
                _watch_age(ports, now, asked.stale_days)
            tell_last(ports.documents, now)


def _expected(ports: Ports, now: datetime, request: TrainingRequest, above: int) -> int:
    """How many rows `request` will be learned from; of one that can never be as many as `above`, the most."""
    most = 2 * request.max_rows
    return most if most <= above else _kept(ports, now, request).sampling.rows


NAMES_FOR_PEOPLE = ("provider", "network", "country")


@dataclass(frozen=True, slots=True)
class _Labeled:
    """Payments as they were served, in order of time. mature: those whose label counts; taught: with those younger ones that
    are learned from too, at the end. share: how many of the genuine ones were kept. names: each mature payment's
    `NAMES_FOR_PEOPLE`, which nothing is learned from. maturity: how long fraud takes to be known."""

    mature: "Table"
    taught: "Table"
    share: float
    names: Mapping[str, Sequence[str | None]]
    maturity: "Maturity"

    @property
    def told(self) -> dict[str, Any]:
        """What people should know of the labels; the part of fraud that is known at some ages, in all and by source."""
        curves = {"all": self.maturity.known, **self.maturity.by_source} if self.maturity.counted else {}
        known = {
            f"{source}_known_at_{age}_days": round(float(curve[min(age, len(curve) - 1)]), 4)
            for source, curve in curves.items()
            for age in AGES
        }
        return {
            "mature_days": self.maturity.mature_days,
            "frauds_counted": self.maturity.counted,
            "young": len(self.taught) - len(self.mature),
            "young_frauds": self.taught.frauds - self.mature.frauds,
            **known,
        }


AGES = (7, 14, 30, 60, 90)
"""Days at which people ask what is known."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Which payments are learned from. logged: decisions recorded all that we would take. first: when the oldest happened."""

    sampling: "Sampling"
    logged: bool
    first: datetime | None


def _kept(ports: Ports, now: datetime, request: TrainingRequest) -> _Kept:
    from shared.learning import data_set

    seen = {"since": now - timedelta(days=request.history_days)}
    part, part_frauds, first = _count(ports, data_set.LOGGED_SQL, **seen, until=now, schema_version=SCHEMA_VERSION)
    logged, frauds = part * data_set.SAMPLES, part_frauds * data_set.SAMPLES
    # Where decisions recorded all that we would take, nothing has to be computed. Else payments are few, or of before the
    # schema changed.
    enough = logged >= request.max_rows
    payments = logged
    if not enough:
        payments, frauds, first = _count(ports, data_set.COUNT_SQL, **seen, as_of=now)
    return _Kept(data_set.sampling(payments, frauds, request.max_rows), enough, first)


def _labeled(ports: Ports, now: datetime, request: TrainingRequest) -> _Labeled:
    """What became of the payments of the last `history_days`, as it is known now."""
    from shared.learning import data_set

    kept = _kept(ports, now, request)
    learned_from = (kept.first or now) + timedelta(days=request.burn_in_days)
    rows = ports.warehouse.query(
        data_set.labeled_sql(logged_sql() if kept.logged else data_set.named_sql(served_sql())),
        {
            "since": now - timedelta(days=request.history_days),
            "as_of": now,
            "until": now,
            "learned_from": microseconds(learned_from),
            "below": kept.sampling.below,
            "sample": kept.sampling.sample,
        },
        once=True,
    )
    return _matured(rows, kept.sampling.share, now, request)


def _matured(rows: Sequence[Mapping[str, Any]], share: float, now: datetime, request: TrainingRequest) -> _Labeled:
    """`rows` of the labeled query parted by age. The same rows give the same, however often it is asked."""
    import numpy as np

    from shared.learning import data_set
    from shared.learning.maturity import MICROSECONDS_A_DAY, maturity

    whole = data_set.table(rows, COLUMNS, share)
    age = (microseconds(now) - whole.at) // MICROSECONDS_A_DAY
    known = [(row["fraud_known_at"], row["fraud_source"]) for row in rows if row["fraud_known_at"] is not None]
    heard = np.array([at for at, _ in known], dtype=np.int64)
    curves = maturity(
        np.maximum(heard - whole.at[whole.fraud], 0) // MICROSECONDS_A_DAY,
        age[whole.fraud],
        [source for _, source in known],
        watched_days=request.watched_days,
        mature_days=math.ceil(request.maturity_days),
        complete=request.complete,
    )
    chance = np.array([data_set.chance_of(row["event_id"]) for row in rows], dtype=np.float64)
    old = age >= curves.mature_days
    return _Labeled(
        mature=whole.part(old),
        taught=whole.part(curves.taught_by(whole.fraud, age, chance)),
        share=share,
        names={name: [row[name] for row, is_old in zip(rows, old, strict=True) if is_old] for name in NAMES_FOR_PEOPLE},
        maturity=curves,
    )


def _count(ports: Ports, sql: str, **parameters: object) -> tuple[int, int, datetime | None]:
    """How many payments there are, how many of them are fraud, and when the first of them happened."""
    [counted] = ports.warehouse.query(sql, parameters)
    return int(counted["payments"]), int(counted["frauds"]), counted["first"]


def _lacking(slices: "Slices", request: TrainingRequest) -> list[str]:
    """What the slices have too little of to learn or to be judged by, in sentences."""
    needs: Mapping[str, tuple[Table, int]] = {
        "training": (slices.train, request.least_frauds),
        "calibration": (slices.calibrate, request.least_frauds_held_out),
        "the test": (slices.test, request.least_frauds_held_out),
    }
    return [
        f"{name} has {part.frauds} frauds and {len(part) - part.frauds} genuine payments, and needs {least} of each"
        for name, (part, least) in needs.items()
        if min(part.frauds, len(part) - part.frauds) < least
    ]


def _refused(whole: "Table", objections: list[str]) -> TrainingReport:
    return TrainingReport(
        digest=None,
        judged=None,
        promoted=False,
        verdict=Verdict.LACKING,
        objections=tuple(objections),
        payments=len(whole),
        frauds=whole.frauds,
    )


def _origin(request: TrainingRequest, slices: "Slices", quality: "Quality") -> dict[str, Any]:
    """Where the model comes from. Nothing of when it was made: the same rows make the same bytes."""
    import sklearn

    parts = {"train": slices.train, "calibrate": slices.calibrate, "test": slices.test}
    return {
        "request": msgspec.to_builtins(request),
        "library": f"scikit-learn {sklearn.__version__}",
        "quality": msgspec.to_builtins(quality),
        "slices": {
            name: {"rows": len(part), "frauds": part.frauds, "from": int(part.at[0]), "to": int(part.at[-1])}
            for name, part in parts.items()
        },
    }


def _compared(
    ports: Ports, champion: Champion | None, stood: str, score: "Floats", test: "Table", seed: int
) -> "Comparison | None":
    """`score` of the test payments beside that of the model that decides now; None when there is none to compare with.

    The champion has learned from most of them. So it stands here as it was judged, fitted on what came before its own
    test, and only payments after that count: neither of the two has seen any of them.
    """
    from shared.learning import compare

    if champion is None or champion.stood == stood:
        return None
    try:
        data = ports.models.load(champion.stood)
        artifact = msgspec.json.decode(data, type=_Artifact)
        unseen = test.at > artifact.learning.slices["train"].to
        rows = test.part(unseen)
        scored = _scored(ports, champion.judged_estimator, artifact, rows)
        if scored is None:
            scored = _walked(artifacts.load(data, champion.stood), rows)
    except (Misconfigured, msgspec.MsgspecError) as error:
        reason = error.reason if isinstance(error, Misconfigured) else "model_format"
        fact("champion_not_comparable", reason=reason, digest=champion.stood)
        return None
    return compare.compare(score[unseen], scored, rows, seed)


def _scored(ports: Ports, digest: str | None, artifact: "_Artifact", rows: "Table") -> "Floats | None":
    """The scores of `rows` by the trainer's own estimator of `artifact`; None where it was not kept, or cannot be opened."""
    from shared.learning import estimator, fit

    if digest is None or artifact.schema_version != SCHEMA_VERSION:
        return None
    try:
        fitted = estimator.opened(ports.models.load(digest), digest)
    except Misconfigured as error:
        fact("estimator_not_opened", reason=error.reason, digest=digest)
        return None
    places = [rows.columns.index(name) for name in artifact.features]
    return fit.calibrated(fitted.raw(rows.values[:, places]), artifact.calibration)


class _Slice(msgspec.Struct, frozen=True):
    to: int


class _Learning(msgspec.Struct, frozen=True):
    slices: dict[str, _Slice]


class _Artifact(msgspec.Struct, frozen=True):
    """What is asked of an artifact here, among it when the youngest payment was that its forest learned from (µs)."""

    learning: _Learning
    schema_version: str
    features: list[str]
    calibration: dict[str, Any]


def _walked(model: Model, table: "Table") -> "Floats":
    import numpy as np

    places = [table.columns.index(name) for name in model.names]
    rows = ([None if np.isnan(value) else value for value in row] for row in table.values[:, places].tolist())
    return np.array([model.score(row).score for row in rows], dtype=np.float64)


def _crown(ports: Ports, champion: Champion) -> bool:
    """Make `champion` the one that decides, and remember the ones before; no when an operator has pinned another one."""

    def effect(seen: Seen) -> Effect[bool]:
        line = standing_line(ports, seen[CHAMPION])
        if line.current is not None and line.current.digest == champion.digest:
            return Effect(True)
        if line.pinned:
            return Effect(False)
        return Effect(True, [put_line(seen, line.crowned(champion))])

    return change(ports.documents, [CHAMPION], effect)


def _challenge(ports: Ports, challenger: Champion) -> None:
    """Let `challenger` be asked beside the champion, unless it is one of the two already."""

    def effect(seen: Seen) -> Effect[None]:
        line = standing_line(ports, seen[CHAMPION])
        if challenger.digest in {one.digest for one in (line.current, line.challenger) if one}:
            return Effect(None)
        return Effect(None, [put_line(seen, line.challenged(challenger))])

    change(ports.documents, [CHAMPION], effect)
    fact("challenger_set", digest=challenger.digest)


def _watch_age(ports: Ports, now: datetime, stale_days: float) -> None:
    """Alarm when one champion has decided for longer than `stale_days`, whatever kept the next one from it."""
    current = standing_line(ports, ports.documents.get([CHAMPION])[0]).current
    if current is not None and now - current.since > timedelta(days=stale_days):
        alarm("champion_stale", digest=current.digest, days=(now - current.since) // timedelta(days=1))
