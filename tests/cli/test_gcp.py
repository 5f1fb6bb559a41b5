"""The same command line on Google Cloud, by the environment alone."""

import json

import pytest
from typer.testing import CliRunner

from shared import settings
from shared.backends.gcp import connect
from shared.backends.gcp.warehouse import BigQueryWarehouse
from shared.cli.app import app
from shared.domain.codec import encode_event, utc_text
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from tests.builders import NOON, a_payment_event
from tests.cli.calling import NARROW


@pytest.mark.emulators
def test_a_story_is_told_from_firestore_and_bigquery(gcp_environment: dict[str, str], bigquery_emulator: str) -> None:
    environment = {**NARROW, **gcp_environment, "BIGQUERY_EMULATOR_HOST": bigquery_emulator}
    BigQueryWarehouse(gcp_environment["GOOGLE_CLOUD_PROJECT"], "payin", bigquery_emulator).ensure_tables()
    ports = connect(settings.read({name: value for name, value in environment.items() if value}))
    event = a_payment_event(payment_id="pi_cloud", aliases=("ch_cloud",), delivery_id="stripe:acct_1:evt_cloud")
    record_payment(event, ports, NOON)
    score_payment(event, ports, NOON, Scorer(use_model=False))
    heard = {"heard_at": utc_text(NOON), "publish_time": utc_text(NOON)}
    ports.warehouse.append("payment_events", [json.loads(encode_event(event)) | heard])
    for name in ("ch_cloud", "stripe:pi_cloud"):
        result = CliRunner().invoke(app, ["trace", name, "--json"], env=environment)
        assert result.exit_code == 0, result.output
        story = json.loads(result.stdout)
        assert [moment["kind"] for moment in story["moments"]] == ["event", "decision"]
        assert story["state"]["payment"] == "captured"
        assert story["doubts"] == ["the bytes of 1 deliveries are not kept any more, or not yet"]
    # Each of the others that asks no log and no subscription; what changes something is in the audit, by whoever runs this.
    for line in (
        "why ch_cloud",
        "find ch_cloud",
        "deadlines",
        "reviews",
        "models show",
        "models health",
        "rules list",
        "rules history",
        "endpoints show",
        "deliveries list",
        "keys show stripe",
        "lists add customer cus_1 block --yes -r drill",
        "lists show customer cus_1",
        "lists remove customer cus_1 block --yes -r drill",
    ):
        result = CliRunner().invoke(app, line.split(), env=environment)
        assert (result.exit_code, bool(result.stdout.strip())) == (0, True), (line, result.output, result.exception)
    result = CliRunner().invoke(app, ["audit", "--json"], env=environment)
    assert [one["what"] for one in json.loads(result.stdout)] == ["manage_rules list", "manage_rules unlist"]
    refused = CliRunner().invoke(app, ["--home", "/tmp", "trace", "ch_cloud"], env=environment)
    assert (refused.exit_code, "local backend" in refused.stderr) == (78, True)
