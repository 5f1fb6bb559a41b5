"""The consumer in the README runs as it stands there."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import urllib3

from shared import settings
from shared.backends.gcp import connect
from shared.contracts.messages import attributes
from shared.domain.events import PaymentStep
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from terraform.tools.vocabulary import of_subscription
from tests.builders import NOON, a_card, a_payment_event
from tests.stack.topology import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.emulators
def test_the_readmes_ten_lines_follow_decisions(gcp_environment: dict[str, str]) -> None:
    [program] = re.findall(r"<!-- follows fraud-decisions -->\n```python\n(.*?)```", README, re.DOTALL)
    assert sum(bool(line) for line in program.splitlines()) == 10
    # The emulator lets everything pass, whatever the filter.
    [only] = re.findall(r"--topic=projects/PROJECT/topics/fraud-decisions \\\n  --message-filter='(.*)'", README)
    assert list(of_subscription(only, attributes("fraud-decisions"))) == []
    project, emulator = gcp_environment["GOOGLE_CLOUD_PROJECT"], gcp_environment["PUBSUB_EMULATOR_HOST"]
    made = urllib3.request(
        "PUT",
        f"http://{emulator}/v1/projects/{project}/subscriptions/declines",
        json={"topic": f"projects/{project}/topics/fraud-decisions"},
    )
    assert made.status == 200, made.data
    ports = connect(settings.read(gcp_environment))
    # Nobody whom another test on these emulators names has a part in it.
    alone: dict[str, Any] = {"card": a_card(fingerprint="ten"), "customer_id": "ten", "device_id": None, "ip": None}
    stolen = a_payment_event(PaymentStep.DECLINED, payment_id="pi_stolen", decline_code="stolen_card", **alone)
    for event in (a_payment_event(payment_id="pi_fine", **alone), stolen):
        score_payment(event, ports, NOON, Scorer(use_model=False))
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **gcp_environment}, stdout=subprocess.PIPE, text=True
    ) as consumer:
        try:
            assert consumer.stdout
            told = {consumer.stdout.readline() for _ in range(2)}
            assert told == {"pi_fine approve []\n", "pi_stolen decline ['card_reported_stolen']\n"}
        finally:
            consumer.kill()
