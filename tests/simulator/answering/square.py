"""Square's disputes: evidence piece by piece with idempotency keys, submitted once while it is required."""

import json
from dataclasses import dataclass, field

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from tests.simulator.answering import a_contest, multipart_parts
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply, zulu

KEY = "EAAA-token-of-the-desk"
EXAMPLE = a_contest("bVTprrwk0gygTLZ96VX1oB", account="6SSW7HV8K2ST5")
_FILES_ALONE = ("AUTHORIZATION_DOCUMENTATION", "CARDHOLDER_COMMUNICATION", "DUPLICATE_CHARGE_DOCUMENTATION")
_BOTH = (
    *("GENERIC_EVIDENCE", "ONLINE_OR_APP_ACCESS_LOG", "CANCELLATION_OR_REFUND_DOCUMENTATION", "CARDHOLDER_INFORMATION"),
    *("PURCHASE_ACKNOWLEDGEMENT", "PRODUCT_OR_SERVICE_DESCRIPTION", "RECEIPT", "SERVICE_RECEIVED_DOCUMENTATION"),
    *("PROOF_OF_DELIVERY_DOCUMENTATION", "RELATED_TRANSACTION_DOCUMENTATION", "REBUTTAL_EXPLANATION"),
)
_BEGINS = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}


@dataclass
class _Case:
    contest: Contest
    state: str
    evidence: list[dict[str, str]] = field(default_factory=list)
    keys: dict[str, tuple[str, ApiReply]] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        return self.state.endswith("EVIDENCE_REQUIRED")


class SquareDesk:
    NAME = "square"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._cases: dict[str, _Case] = {}

    def open(self, contest: Contest) -> None:
        prefix = "INQUIRY_" if contest.stage is DisputeStage.INQUIRY else ""
        self._cases[contest.answer_id] = _Case(contest, f"{prefix}EVIDENCE_REQUIRED")

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "UNAUTHORIZED", "This request could not be authorized.", "AUTHENTICATION_ERROR")
        own, _, action = call.path.removeprefix("/v2/disputes/").partition("/")
        case = self._cases.get(own)
        if case is None:
            return _error(404, "NOT_FOUND", "Could not find a dispute with that id.")
        due = case.contest.respond_by
        if case.waits and (due is None or call.at >= due):
            case.state = "INQUIRY_CLOSED" if case.state.startswith("INQUIRY") else "LOST"
        if call.method == "GET" and not action:
            return self._shown(case)
        if call.method != "POST":
            return _error(404, "NOT_FOUND", "No such resource.")
        if not case.waits:
            return _error(400, "BAD_REQUEST", f"The dispute is in state {case.state}.")
        match action:
            case "evidence-text":
                return self._text(case, call)
            case "evidence-files":
                return self._file(case, call)
            case "submit-evidence":
                return self._end(case, call, Act.SUBMIT)
            case "accept":
                return self._end(case, call, Act.ACCEPT)
        return _error(404, "NOT_FOUND", "No such resource.")

    def _text(self, case: _Case, call: ApiCall) -> ApiReply:
        asked = json.loads(call.body)
        text, kind = asked.get("evidence_text", ""), asked.get("evidence_type", "GENERIC_EVIDENCE")
        if not 0 < len(text) <= 500:
            return _error(400, "VALUE_TOO_LONG", "Field must not be greater than 500 in length")
        if kind not in (*_BOTH, "TRACKING_NUMBER"):
            return _error(400, "INVALID_VALUE", f"{kind} does not take a text.")
        return self._keep(case, asked.get("idempotency_key", ""), {"evidence_type": kind, "evidence_text": text})

    def _file(self, case: _Case, call: ApiCall) -> ApiReply:
        parts = {part[0]: part for part in multipart_parts(call.headers["content-type"], call.body)}
        if set(parts) != {"request", "image_file"}:
            return _error(400, "MISSING_REQUIRED_PARAMETER", "A part is missing.")
        asked = json.loads(parts["request"][3])
        _, name, media_type, data = parts["image_file"]
        begins = _BEGINS.get(media_type)
        if begins is None or not data.startswith(begins):
            return _error(415, "UNSUPPORTED_MEDIA_TYPE", "The file is of a type that is not supported.")
        if len(data) > 5 * 1024 * 1024:
            return _error(413, "REQUEST_ENTITY_TOO_LARGE", "The file is too large.")
        kind = asked.get("evidence_type", "GENERIC_EVIDENCE")
        if kind not in (*_BOTH, *_FILES_ALONE):
            return _error(400, "INVALID_VALUE", f"{kind} does not take a file.")
        told = {"evidence_type": kind, "filename": name, "size": str(len(data))}
        return self._keep(case, asked.get("idempotency_key", ""), told)

    def _keep(self, case: _Case, key: str, told: dict[str, str]) -> ApiReply:
        if not 1 <= len(key) <= 45:
            return _error(400, "VALUE_TOO_LONG", "idempotency_key must be 1 to 45 characters")
        what = json.dumps(told, sort_keys=True)
        before = case.keys.get(key)
        if before:
            return before[1] if before[0] == what else _error(400, "IDEMPOTENCY_KEY_REUSED", "The key was used before.")
        own = f"EVIDENCE{len(case.evidence) + 1}"
        case.evidence.append({"id": own, **told})
        evidence = {"id": own, "dispute_id": case.contest.answer_id, "evidence_type": told["evidence_type"]}
        case.keys[key] = what, _json({"evidence": evidence})
        return case.keys[key][1]

    def _end(self, case: _Case, call: ApiCall, act: Act) -> ApiReply:
        told = {one["id"]: f"{one['evidence_type']}: {one.get('evidence_text', 'file')}" for one in case.evidence}
        if act is Act.SUBMIT:
            case.state = case.state.replace("EVIDENCE_REQUIRED", "PROCESSING")
        else:
            case.state = "ACCEPTED"
        self.taken.append(Taken(case.contest.dispute_id, act, call.at, told if act is Act.SUBMIT else {}))
        return self._shown(case)

    def _shown(self, case: _Case) -> ApiReply:
        due = case.contest.respond_by
        shown = {"id": case.contest.answer_id, "dispute_id": case.contest.answer_id, "state": case.state}
        return _json({"dispute": shown | ({"due_at": zulu(due)} if due else {})})


def _json(value: object, status: int = 200) -> ApiReply:
    return ApiReply(status, json.dumps(value).encode())


def _error(status: int, code: str, detail: str, category: str = "INVALID_REQUEST_ERROR") -> ApiReply:
    return _json({"errors": [{"category": category, "code": code, "detail": detail}]}, status)


DESK = SquareDesk
