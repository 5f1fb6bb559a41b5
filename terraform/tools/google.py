"""Google's REST APIs, asked as whoever Terraform is: by application default credentials."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

LOGIN = "Terraform has no credentials: run `gcloud auth application-default login`"
# How Terraform and gcloud say that there are none, or none that are good any more.
NO_CREDENTIALS = r"could not find default credentials|Reauthentication|invalid_grant|invalid_rapt|No credentials loaded"


class Unanswered(Exception):
    """Nobody answered, or we may not ask; a sentence that says what to do."""


@dataclass(frozen=True)
class Answer:
    status: int
    document: Mapping[str, Any]

    @property
    def message(self) -> str:
        """What is wrong, as Google says it. In a stream of answers the first says it."""
        [first, *_] = self.document.get("items") or [self.document]
        return str(first.get("error", {}).get("message", f"status {self.status}"))


@dataclass(frozen=True)
class Google:
    """Asks on the quota of `project`."""

    project: str
    token: str

    def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Raises Unanswered when nobody answers, or when the API is not enabled."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Goog-User-Project": self.project,
            "Content-Type": "application/json",
        }
        try:
            said = urllib3.request(
                method, url, headers=headers, body=None if body is None else json.dumps(body), timeout=20.0, retries=2
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unanswered(f"{url.split('/')[2]} cannot be reached: {error}") from error
        try:
            document = json.loads(said.data or b"{}")
        except ValueError:
            document = {}
        # A stream of answers is a list.
        answer = Answer(said.status, document if isinstance(document, dict) else {"items": document})
        if answer.status == 403 and "SERVICE_DISABLED" in json.dumps(answer.document):
            api = url.split("/")[2]
            raise Unanswered(f"{api} is not enabled: gcloud services enable {api} --project={self.project}")
        if answer.status == 401:
            raise Unanswered(LOGIN)
        return answer

    def make_agent(self, number: str, service: str) -> None:
        """Make the identity by which `service` acts in project `number`, if it is not there. Enabling the API does not,
        and a grant to one that is missing is refused. Raises Unanswered.
        https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services/generateServiceIdentity"""
        path = f"v1beta1/projects/{number}/services/{service}:generateServiceIdentity"
        answer = self.ask("POST", f"https://serviceusage.googleapis.com/{path}", {})
        if answer.status != 200 or "error" in answer.document:
            raise Unanswered(
                f"the agent of {service} cannot be made ({answer.message}): "
                f"gcloud beta services identity create --service={service} --project={self.project}"
            )

    def make_agents_of_a_key(self, number: str) -> None:
        """The same of every service that uses a key of one's own: Cloud Storage's and BigQuery's are made when somebody asks
        for their names. Raises Unanswered. https://cloud.google.com/storage/docs/json_api/v1/projects/serviceAccount/get and
        https://cloud.google.com/bigquery/docs/reference/rest/v2/projects/getServiceAccount"""
        for service in ("firestore.googleapis.com", "secretmanager.googleapis.com"):
            self.make_agent(number, service)
        for api in ("storage.googleapis.com/storage/v1", "bigquery.googleapis.com/bigquery/v2"):
            answer = self.ask("GET", f"https://{api}/projects/{self.project}/serviceAccount")
            if answer.status != 200:
                raise Unanswered(f"the agent of {api.partition('/')[0]} cannot be made: {answer.message}")


def credentials(project: str) -> Google:
    """Ready to ask. Raises Unanswered with the command to run when there are no application default credentials."""
    if token := os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN"):
        return Google(project, token)
    try:
        ran = subprocess.run(
            ["gcloud", "auth", "application-default", "print-access-token"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise Unanswered("gcloud is not installed: https://cloud.google.com/sdk/docs/install") from error
    if ran.returncode or not ran.stdout.strip():
        raise Unanswered(LOGIN)
    return Google(project, ran.stdout.strip())


def explained(said: str) -> str:
    """What Terraform said, and before it the command that mends it where credentials are what is missing."""
    return f"{LOGIN}\n{said}" if re.search(NO_CREDENTIALS, said) else said
