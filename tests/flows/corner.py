"""A made-up provider at which disputes are answered, as small as one can be: a file, then the answer. Its own rules are those
of all: one answer a round, none after the deadline."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Unreadable
from shared.domain.evidence import Document, Item, Packet
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

NAME = "stripe"
API_HOSTS = frozenset({"api.corner.example"})
PACKET = Packet(
    digest="0" * 64,
    template="fraud/subscription/visa",
    completeness=0.75,
    texts={Item.PRODUCT: "a month of music"},
    documents=(
        Document(name="evidence.pdf", media_type="application/pdf", data=b"%PDF", pages=1, items=(Item.USAGE,)),
    ),
)


@dataclass
class Corner:
    """The responder. keyed: whether the provider knows idempotency keys; blind: whether it tells nothing when read back;
    TELLS_USE: whether it is an app store."""

    keyed: bool = False
    blind: bool = False
    NAME: str = NAME
    API_HOSTS: frozenset[str] = API_HOSTS
    TELLS_USE: bool = False

    def problems(self, contest: Contest) -> tuple[str, ...]:
        too_much = contest.packet is not None and any(one.pages > 9 for one in contest.packet.documents)
        if self.TELLS_USE and contest.packet is None:
            return ("nothing is told of its use",)
        return ("more than nine pages",) if too_much else ()

    def standing_request(self, contest: Contest, api: ApiCredentials) -> ApiRequest:
        return ApiRequest("GET", f"{api.base_url}/disputes/{contest.answer_id}", {})

    def read_standing(self, contest: Contest, answer: ApiAnswer) -> Standing:
        try:
            return Standing.UNKNOWN if self.blind else Standing(json.loads(answer.body)["standing"])
        except (ValueError, KeyError) as error:
            raise Unreadable("no standing", reason="no_standing") from error

    def next_step(self, contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
        at = f"{api.base_url}/disputes/{contest.answer_id}"
        if contest.act is Act.SUBMIT and "file" not in done:
            return Step(name="file", request=ApiRequest("POST", f"{at}/files", {}, b"%PDF"))
        if "answer" in done:
            return None
        said = json.dumps({"act": contest.act, "file": done.get("file", ""), "key": contest.key if self.keyed else ""})
        return Step(
            name="answer", request=ApiRequest("POST", f"{at}/answer", {}, said.encode()), final=True, keyed=self.keyed
        )

    def read_step(self, contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
        try:
            told: Any = json.loads(answer.body)
        except ValueError as error:
            raise Unreadable("no JSON", reason="no_json") from error
        if answer.status == 200:
            return Done(value=told["id"])
        return Refused(code=told["code"], told=told["message"], stands=told["code"] == "answered_already")


@dataclass
class CornerDesk:
    """keyed: it knows idempotency keys. shown_after: how many reads later it shows what it has taken."""

    keyed: bool = False
    shown_after: int = 0
    NAME: str = NAME
    taken: list[Taken] = field(default_factory=list)
    _open: dict[str, Contest] = field(default_factory=dict)
    _keys: dict[str, ApiReply] = field(default_factory=dict)
    _reads: int = 0

    def open(self, contest: Contest) -> None:
        self._open[contest.answer_id] = contest

    def close(self, answer_id: str) -> None:
        del self._open[answer_id]

    def reply(self, call: ApiCall) -> ApiReply:
        _, _, answer_id, *what = call.path.split("/")
        answered = any(one.dispute_id == answer_id for one in self.taken)
        if not what:
            return _json(200, standing=self._standing(answer_id, answered=answered))
        if what == ["files"]:
            return _json(200, id="file_1")
        said = json.loads(call.body)
        if said["key"] in self._keys:
            return self._keys[said["key"]]
        reply = self._answered(call, answer_id, said, answered=answered)
        if self.keyed and said["key"]:
            self._keys[said["key"]] = reply
        return reply

    def _answered(self, call: ApiCall, answer_id: str, said: dict[str, str], *, answered: bool) -> ApiReply:
        contest = self._open.get(answer_id)
        if answered:
            return _json(409, code="answered_already", message="there is an answer")
        if contest is None or (contest.respond_by is not None and call.at > contest.respond_by):
            return _json(400, code="too_late", message="it is over, ana@shop.example")
        self.taken.append(Taken(answer_id, Act(said["act"]), call.at, {"file": said["file"]}))
        self._reads = 0
        return _json(200, id=f"answer_{len(self.taken)}")

    def _standing(self, answer_id: str, *, answered: bool) -> Standing:
        if answer_id not in self._open:
            return Standing.OVER
        if not answered:
            return Standing.WAITS
        self._reads += 1
        return Standing.ANSWERED if self._reads > self.shown_after else Standing.WAITS


def a_contest(answer_id: str, respond_by: datetime) -> Contest:
    return Contest(
        key="k",
        act=Act.SUBMIT,
        dispute_id=answer_id,
        answer_id=answer_id,
        account="acct_1",
        livemode=False,
        respond_by=respond_by,
    )


def _json(status: int, **told: str) -> ApiReply:
    return ApiReply(status, json.dumps(told).encode())
