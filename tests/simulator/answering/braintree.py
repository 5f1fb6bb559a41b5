"""Braintree's disputes: XML, uploads, evidence on open disputes only, categories where the reason wants them."""

import base64
from dataclasses import dataclass, field, replace
from datetime import timedelta
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from shared.domain.answers import Act, Contest
from shared.domain.evidence import CompellingEvidence, Purchase
from shared.domain.money import Money
from tests.simulator.answering import NOON, a_contest, a_packet, multipart_parts
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

MERCHANT, PUBLIC, PRIVATE = "desk_merchant", "deskpublickey", "deskprivatekey"
KEY = f"{MERCHANT}:{PUBLIC}:{PRIVATE}"
_PRIOR = Purchase(
    provider="braintree",
    payment_id="g6tx9d1",
    at=NOON - timedelta(days=200),
    amount=Money(1999, "EUR"),
    ip="203.0.113.7",
)
COMPELLING = CompellingEvidence(
    rule="visa_ce3",
    disputed=replace(_PRIOR, payment_id="h2wq7b3", at=NOON - timedelta(days=40)),
    priors=(_PRIOR,),
    matched=("ip",),
)
EXAMPLE = a_contest("fdt35xvhzgv9vqrk", reason_code="1040", packet=a_packet(compelling=COMPELLING))
_WANT_CATEGORIES = ("37", "83", "1040", "1310", "7030", "C08", "F29", "UA02")
_TEXT_ONLY = ("PRIOR_NON_DISPUTED_TRANSACTION_ID", "PRIOR_NON_DISPUTED_TRANSACTION_DATE_TIME")
_TEXT = (*_TEXT_ONLY, "PRIOR_NON_DISPUTED_TRANSACTION_IP_ADDRESS", "PURCHASER_IP_ADDRESS", "DEVICE_ID", "GENERAL")
_FILE = ("GENERAL", "MERCHANT_WEBSITE_OR_APP_ACCESS", "PROOF_OF_3D_SECURE", "PROOF_OF_POSSESSION_OR_USAGE")
_BEGINS = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass
class _Case:
    contest: Contest
    status: str = "open"
    evidence: list[dict[str, str]] = field(default_factory=list)


class BraintreeDesk:
    NAME = "braintree"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._cases: dict[str, _Case] = {}
        self._uploads: set[str] = set()

    def open(self, contest: Contest) -> None:
        self._cases[contest.answer_id] = _Case(contest)

    def reply(self, call: ApiCall) -> ApiReply:
        expected = "Basic " + base64.b64encode(f"{PUBLIC}:{PRIVATE}".encode()).decode()
        if call.headers.get("authorization") != expected or call.headers.get("x-apiversion") != "6":
            return ApiReply(401, b"")
        match [call.method, *call.path.removeprefix(f"/merchants/{MERCHANT}/").split("/")]:
            case ["POST", "document_uploads"]:
                return self._upload(call)
            case [method, "disputes", own, *action] if own in self._cases:
                case = self._cases[own]
                due = case.contest.respond_by
                if case.status == "open" and (due is None or call.at >= due):
                    case.status = "expired"
                return self._dispute(case, method, action, call)
        return ApiReply(404, b"")

    def _dispute(self, case: _Case, method: str, action: list[str], call: ApiCall) -> ApiReply:
        match [method, *action]:
            case ["GET"]:
                return self._shown(case)
            case ["POST", "evidence"]:
                return self._add(case, call)
            case ["PUT", "finalize"]:
                return self._end(case, call, Act.SUBMIT)
            case ["PUT", "accept"]:
                return self._end(case, call, Act.ACCEPT)
        return ApiReply(404, b"")

    def _upload(self, call: ApiCall) -> ApiReply:
        parts = {part[0]: part for part in multipart_parts(call.headers["content-type"], call.body)}
        if parts.get("document_upload[kind]", ("", "", "", b""))[3] != b"evidence_document":
            return _invalid("document-upload", "84901", "Kind is invalid.")
        data = parts["file"][3] if "file" in parts else b""
        if not data:
            return _invalid("document-upload", "84906", "File cannot be empty.")
        if not data.startswith(_BEGINS):
            return _invalid("document-upload", "84903", "File type is invalid.")
        if len(data) > 4 * 1024 * 1024:
            return _invalid("document-upload", "84902", "File is too large.")
        own = f"upload{len(self._uploads) + 1}"
        self._uploads.add(own)
        name, media_type = parts["file"][1], parts["file"][2]
        told = {
            "id": own,
            "kind": "evidence_document",
            "name": name,
            "content-type": media_type,
            "size": str(len(data)),
        }
        return _xml("document-upload", told, 201)

    def _add(self, case: _Case, call: ApiCall) -> ApiReply:
        if case.status != "open":
            return _invalid("dispute", "95701", "Evidence can only be attached to disputes that are in an Open state")
        root = ElementTree.fromstring(call.body)
        piece = {one.tag.replace("_", "-"): one.text or "" for one in root}
        document, category = piece.get("document-upload-id", ""), piece.get("category", "")
        if document and document not in self._uploads:
            return _invalid("dispute", "95703", "A document with this ID could not be found")
        if not document and not piece.get("comments"):
            return _invalid("dispute", "95708", "Evidence is missing")
        wanted = (case.contest.reason_code or "") in (*_WANT_CATEGORIES, "", "10.4")
        if wanted and category not in (_FILE if document else _TEXT):
            return _invalid("dispute", "95706", "The category is not supported")
        there = [(one.get("category"), bool(one.get("document-upload-id"))) for one in case.evidence]
        if category and (category, bool(document)) in there:
            return _invalid("dispute", "95714", "Only one of a category is taken")
        own = f"evidence{len(case.evidence) + 1}"
        case.evidence.append({"id": own, **{name: value for name, value in piece.items() if value}})
        return _xml("evidence", case.evidence[-1], 201)

    def _end(self, case: _Case, call: ApiCall, act: Act) -> ApiReply:
        if case.status != "open":
            code, verb = ("95705", "finalized") if act is Act.SUBMIT else ("95704", "accepted")
            return _invalid("dispute", code, f"Disputes can only be {verb} when they are in an Open state")
        categories = {one.get("category", "") for one in case.evidence}
        if act is Act.SUBMIT:
            if not case.evidence:
                return _invalid("dispute", "95726", "There must be evidence to finalize")
            if _TEXT_ONLY[0] in categories and _TEXT_ONLY[1] not in categories:
                return _invalid("dispute", "95723", "A prior transaction's date is missing")
        case.status = "disputed" if act is Act.SUBMIT else "accepted"
        told = {one.get("category") or one["id"]: one.get("comments", "file") for one in case.evidence}
        self.taken.append(Taken(case.contest.dispute_id, act, call.at, told))
        return ApiReply(200, b"", {"Content-Type": "application/xml"})

    def _shown(self, case: _Case) -> ApiReply:
        evidence = "".join(
            "<evidence>" + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in one.items()) + "</evidence>"
            for one in case.evidence
        )
        inner = f'<evidence type="array">{evidence}</evidence>'
        return _xml("dispute", {"id": case.contest.answer_id, "status": case.status, "kind": "chargeback"}, 200, inner)


def _xml(root: str, members: dict[str, str], status: int, more: str = "") -> ApiReply:
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}{more}</{root}>'
    return ApiReply(status, text.encode(), {"Content-Type": "application/xml"})


def _invalid(about: str, code: str, message: str) -> ApiReply:
    error = f"<error><code>{code}</code><attribute>base</attribute><message>{message}</message></error>"
    errors = f'<errors><errors type="array"/><{about}><errors type="array">{error}</errors></{about}></errors>'
    return _xml("api-error-response", {"message": message}, 422, errors)


DESK = BraintreeDesk
