"""How a label travels."""

from shared.domain.codec import encode
from shared.domain.labels import FraudLabel
from shared.flows.ports import Message

TOPIC = "fraud-labels"


def label_message(label: FraudLabel) -> Message:
    return Message(TOPIC, encode(label), {"provider": label.provider, "label": label.label, "source": label.source})
