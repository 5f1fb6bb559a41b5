"""Mercado Pago's chargebacks and the documents that they take, as its reference describes them."""

import re

from shared.domain.answers import Act, Contest
from tests.simulator.answering import Tells, a_contest
from tests.simulator.answering.forms import Case, form, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

_CHARGEBACK = re.compile(r"/v1/chargebacks/([0-9]+)(/documentation)?")
_TYPES = ("application/pdf", "image/jpeg", "image/png")


def _error(status: int, word: str) -> ApiReply:
    return reply_json(status, {"status": status, "error": word, "message": word.replace("_", " ")})


class MercadoPagoDesk:
    NAME = "mercadopago"

    def __init__(self, key: str = "APP_USR-1361656468033953-022522-ours-406841956") -> None:
        self.key = key
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}

    def open(self, contest: Contest) -> None:
        self.cases[contest.answer_id] = Case(contest, "pending")

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "unauthorized")
        found = _CHARGEBACK.fullmatch(call.path)
        case = self.cases.get(found[1]) if found else None
        if found is None or case is None:
            return _error(404, "not_found")
        caller = call.headers.get("x-caller-id", "")
        if not caller.isdigit():
            return _error(400, "missing_required_params")
        if caller != self.key.rpartition("-")[2]:
            return _error(403, "invalid_user_for_operation")
        if case.status == "pending" and case.late(call):
            case.status = "not_supplied"
        if (call.method, found[2]) == ("GET", None):
            told = {"id": found[1], "payments": [1], "status": "in_process", "coverage_applied": None}
            return reply_json(200, {**told, "documentation_status": case.status})
        return self._documents(case, call) if call.method == "POST" and found[2] else _error(405, "method_not_allowed")

    def _documents(self, case: Case, call: ApiCall) -> ApiReply:
        files = [one for one in form(call) if one.name == "files[]" and one.filename]
        if not files:
            return _error(400, "missing_files")
        if any(not one.data for one in files):
            return _error(400, "empty_file")
        if case.status != "pending":
            return _error(400, "documentation_already_submitted")
        if len(files) > 10:
            return _error(413, "too_many_files")
        if sum(len(one.data) for one in files) > 10_000_000:
            return _error(413, "file_size_exceeded")
        if any(one.media_type not in _TYPES for one in files):
            return _error(415, "unsupported_file_type")
        case.status = "review_pending"
        self.taken.append(case.answered(Act.SUBMIT, call, {one.filename: one.media_type for one in files}))
        return reply_json(200, [{"type": "collector", "description": one.filename, "uuid": "a1b2"} for one in files])


DESK = MercadoPagoDesk
KEY = "APP_USR-1361656468033953-022522-ours-406841956"
EXAMPLE = a_contest("217000061680860000")
TELLS = Tells.REFUSAL
