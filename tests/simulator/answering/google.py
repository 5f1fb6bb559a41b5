"""Google Play's orders and the reviews of their refunds: the first answer counts, and any later one is told OK."""

import re
from datetime import timedelta

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Consumption
from tests.simulator.answering import Tells, a_contest, a_packet
from tests.simulator.answering.forms import Case, object_in, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

_ORDER = re.compile(r"/androidpublisher/v3/applications/([a-z.]+)/orders/(GPA[^:/]+)(:reviewrefund)?")


def _error(code: int, status: str, message: str) -> ApiReply:
    return reply_json(code, {"error": {"code": code, "status": status, "message": message}})


class GoogleDesk:
    """Whoever is late is told OK like everybody else, and not heard."""

    NAME = "google"

    def __init__(self, key: str = "ya29.a-token-of-ours") -> None:
        self.key = key
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}

    def open(self, contest: Contest) -> None:
        self.cases[contest.dispute_id] = Case(contest, "PENDING_REFUND")

    def refund(self, order: str) -> None:
        self.cases[order].status = "REFUNDED"

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        found = _ORDER.fullmatch(call.path)
        case = self.cases.get(found[2]) if found else None
        if found is None or case is None or case.contest.account != found[1]:
            return _error(404, "NOT_FOUND", "No order was found.")
        if (call.method, found[3]) == ("GET", None):
            return reply_json(200, {"orderId": found[2], "state": case.status})
        if (call.method, found[3]) != ("POST", ":reviewrefund"):
            return _error(405, "UNIMPLEMENTED", "")
        return self._review(case, call)

    def _review(self, case: Case, call: ApiCall) -> ApiReply:
        told = object_in(call) or {}
        uses, share = told.get("consumptionUsageEvents", []), told.get("consumptionPercentageMilliunits", 0)
        if told.get("pendingRefundToken") != case.contest.answer_id:
            return _error(400, "INVALID_ARGUMENT", "The pending refund token is invalid.")
        if told.get("refundPreference") not in ("DECLINE", "APPROVE", "NEUTRAL"):
            return _error(400, "INVALID_ARGUMENT", "The refund preference is required.")
        if type(told.get("sampleContentProvided")) is not bool:
            return _error(400, "INVALID_ARGUMENT", "Whether sample content was provided is required.")
        if type(share) is not int or not 0 <= share <= 100_000:
            return _error(400, "INVALID_ARGUMENT", "The consumption percentage is out of range.")
        if len(uses) > 1000:
            return _error(400, "INVALID_ARGUMENT", "There are too many usage events.")
        if not case.draft and not case.late(call):
            case.draft = told
            act = Act.ACCEPT if told["refundPreference"] == "APPROVE" else Act.SUBMIT
            self.taken.append(case.answered(act, call, {name: str(value) for name, value in told.items()}))
        return reply_json(200, {})


WITHIN = timedelta(hours=24)
DESK = GoogleDesk
KEY = "ya29.a-token-of-ours"
EXAMPLE = a_contest(
    "GPA.3345-1234-5678-90123",
    answer_id="AE4AMrRefund.review-1",
    account="example.music.player",
    stage=DisputeStage.INQUIRY,
    network=None,
    packet=a_packet(texts={}, documents=(), consumption=Consumption(consented=True, delivered=True, sampled=False)),
)
TELLS = Tells.NOTHING
