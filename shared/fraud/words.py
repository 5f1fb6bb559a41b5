"""A decision's reasons as a sentence for people: what was counted, of whom, and how much of it there was."""

from shared.domain.decisions import Decision, Reason
from shared.fraud.features import (
    FEATURES,
    AmountDeviation,
    AmountRatio,
    Differs,
    Feature,
    FraudRun,
    Is,
    Novelty,
    Share,
    Since,
    Total,
)

_BY_NAME = {feature.name: feature for feature in FEATURES}
_WINDOWS = {
    "1h": "within an hour",
    "24h": "within a day",
    "7d": "within a week",
    "30d": "within a month",
    "ever": "ever",
}
_ENTITIES = {"ip": "address", "email_domain": "e-mail domain"}
_MEASURES = {
    "small": "tiny payments",
    "amount": "euro cents paid",
    "declined": "refused payments",
    "new_ips": "new addresses",
}
_FALLBACKS = {
    "store_slow": "the past of this payment was not known in time",
    "store_down": "the past of this payment cannot be known now",
}


def in_words(reason: Reason, decision: Decision) -> str:
    """`reason` of `decision`: `8 refused payments of this device within an hour`."""
    if reason.source == "fallback":
        return _FALLBACKS.get(reason.code, _plain(reason.code))
    feature = _BY_NAME.get(reason.code) if reason.source == "model" else None
    value = next((one.value for one in decision.features if one.name == reason.code), None)
    return _said(feature, value) if feature is not None else _plain(reason.code)


def _said(feature: Feature, value: float | None) -> str:
    if value is None:
        return f"{_plain(feature.name)}: nothing known"
    match feature:
        case Total():
            measure = _MEASURES.get(feature.measure, _plain(feature.measure))
            return f"{value:,.0f} {measure} of this {_entity(feature.entity)} {_window(feature.window)}"
        case Share():
            measure = _MEASURES.get(feature.measure, _plain(feature.measure))
            return f"{value:.0%} {measure} of this {_entity(feature.entity)} {_window(feature.window)}"
        case FraudRun():
            return f"frauds on payments of this {_entity(feature.entity)} for {value:.0f} days, and no end of it known"
        case Since():
            return f"{_time(value)} since the {feature.moment} payment of this {_entity(feature.entity)}"
        case Novelty():
            never = "first met" if value else "met before"
            return f"this {_entity(feature.other)} of this {_entity(feature.keeper)}: {never}"
        case AmountRatio():
            return f"{value:.1f} times the mean amount of this {_entity(feature.entity)}"
        case AmountDeviation():
            return f"{value:.1f} deviations from the mean amount of this {_entity(feature.entity)}"
        case Is() | Differs():
            return f"{_plain(feature.name)}: {'yes' if value else 'no'}"
        case _:
            return f"{_plain(feature.name)}: {value:,.6g}"


def _entity(name: str) -> str:
    return _ENTITIES.get(name, name)


def _window(name: str) -> str:
    return _WINDOWS.get(name, name)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _time(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
