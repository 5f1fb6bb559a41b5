"""What `respond_dispute` needs of a provider at which disputes are answered."""

from typing import Protocol

from shared.domain.answers import Contest, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest


def tells_use(responder: "Responder | None") -> bool:
    """Whether the provider is told how what was bought was used, of an acceptance as well."""
    return bool(getattr(responder, "TELLS_USE", False))


def takes_acceptance(responder: "Responder | None") -> bool:
    """Whether the provider is ever told that a claim is accepted. Where it is not, one that nobody answers is lost."""
    return bool(getattr(responder, "TAKES_ACCEPTANCE", True))


def takes_evidence(responder: "Responder | None") -> bool:
    """Whether the provider is sent texts or files at all."""
    return bool(getattr(responder, "TAKES_EVIDENCE", True))


class Responder(Protocol):
    """`shared.providers.<name>.answer`: how a dispute is answered at a provider. Pure; it keeps nothing between calls.

    Where the API takes tokens in the place of a secret it has `token_request` and `read_token` as well
    (`flows.apis.Exchanger`). An app store, which is told of the use whatever the answer says, has a true `TELLS_USE`;
    where nothing can be accepted, `TAKES_ACCEPTANCE` is false, and `TAKES_EVIDENCE` where neither texts nor files are sent.

    API_HOSTS: the only hosts that a request of its own may go to.
    """

    NAME: str
    API_HOSTS: frozenset[str]

    def problems(self, contest: Contest) -> tuple[str, ...]:
        """What the provider would not take of `contest`, by its documented limits (types, sizes, pages, lengths, required
        parts): a sentence for each, for a person. Empty: it may be sent. Nothing is asked of the provider."""

    def standing_request(self, contest: Contest, api: ApiCredentials) -> ApiRequest:
        """How to read the dispute back. Raises Unreadable for an id that is none of the provider's."""

    def read_standing(self, contest: Contest, answer: ApiAnswer) -> Standing:
        """What it says (status 200, 404, ...) of this round. Raises Unreadable for a body that cannot be read."""

    def next_step(self, contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
        """The first request that is not among those `done`; None when there is none left. The last is the final one. The same
        arguments give the same request, byte by byte. Raises Unreadable for an id that is none of the provider's."""

    def read_step(self, contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
        """What `answer` says of `step`: any status but those at which nothing was done and a repeat may help (408, 429, 5xx),
        which never come here. Raises Unreadable for a body that does not say whether it was taken: then the dispute is
        read back."""
