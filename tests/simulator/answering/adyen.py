"""Adyen's dispute service: reasons, then documents, then the defence; what it will not have is told under HTTP 200."""

import base64
import binascii
import json
from dataclasses import dataclass, field

from shared.domain.answers import Act, Contest
from shared.domain.evidence import Item
from tests.simulator.answering import a_contest, a_document, a_packet
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

KEY = "AQE-desk-key"
SERVICE = "/ca/services/DisputeService/v30/"
EXAMPLE = a_contest(
    "DZ4DPSHB4WD2WN82",
    account="OurMerchantAccount",
    packet=a_packet(documents=(a_document(*Item),)),
)
REASONS = {
    "GoodsNotReturned": {"TIDorInvoice": "Optional", "GoodsNotReturned": "Required"},
    "GoodsWereAsDescribed": {"GoodsWereAsDescribed": "Required", "TIDorInvoice": "Required"},
    "SupplyDefenseMaterial": {"TIDorInvoice": "Optional", "DefenseMaterial": "Required"},
}
_TYPES = {
    "application/pdf": (b"%PDF-", 2_000_000),
    "image/jpg": (b"\xff\xd8", 10_000_000),
    "image/tiff": (b"", 10_000_000),
}


@dataclass
class _Case:
    contest: Contest
    documents: dict[str, bytes] = field(default_factory=dict)
    answered: Act | None = None


class AdyenDesk:
    NAME = "adyen"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.reasons = REASONS
        self._cases: dict[str, _Case] = {}

    def open(self, contest: Contest) -> None:
        self._cases[contest.answer_id] = _Case(contest)

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("x-api-key") != KEY:
            return _error(401, "000", "HTTP Status Response - Unauthorized", "security")
        try:
            asked = json.loads(call.body)
            case = self._cases.get(asked["disputePspReference"])
            account = asked["merchantAccountCode"]
        except (ValueError, KeyError, TypeError):
            return _error(422, "702", "Structure of the request is invalid", "validation")
        if case is None:
            return _unsuccessful("Dispute not found")
        if account != case.contest.account:
            return _error(403, "901", "Invalid Merchant Account", "security")
        if case.answered:
            return _unsuccessful(
                f"The dispute has already been {'defended' if case.answered is Act.SUBMIT else 'accepted'}"
            )
        if case.contest.respond_by is None or call.at >= case.contest.respond_by:
            return _unsuccessful("The defense period has expired")
        match call.path.removeprefix(SERVICE):
            case "retrieveApplicableDefenseReasons":
                return self._listed(case)
            case "supplyDefenseDocument":
                return self._supply(case, asked.get("defenseDocuments") or [])
            case "deleteDisputeDefenseDocument":
                case.documents.pop(asked.get("defenseDocumentType"), None)
                return _success()
            case "defendDispute":
                return self._defend(case, asked.get("defenseReasonCode"), call)
            case "acceptDispute":
                case.answered = Act.ACCEPT
                self.taken.append(Taken(case.contest.dispute_id, Act.ACCEPT, call.at, {}))
                return _success()
        return _error(404, "100", "Not found", "internal")

    def _listed(self, case: _Case) -> ApiReply:
        listed = [
            {
                "defenseReasonCode": reason,
                "satisfied": self._lacks(case, reason) is None,
                "defenseDocumentTypes": [
                    {"defenseDocumentTypeCode": code, "requirementLevel": level, "available": code in case.documents}
                    for code, level in types.items()
                ],
            }
            for reason, types in self.reasons.items()
        ]
        return _success(defenseReasons=listed)

    def _supply(self, case: _Case, documents: list[dict[str, str]]) -> ApiReply:
        if not documents:
            return _unsuccessful("No defense documents were supplied")
        for document in documents:
            begins, most = _TYPES.get(document.get("contentType", ""), (None, 0))
            try:
                data = base64.b64decode(document.get("content", ""), validate=True)
            except binascii.Error:
                return _error(422, "702", "content is no base64", "validation")
            if begins is None or not data.startswith(begins):
                return _unsuccessful("The defense document is of a type that is not supported")
            if not 0 < len(data) <= most:
                return _unsuccessful("The defense document is too large")
            code = document.get("defenseDocumentTypeCode", "")
            if not any(code in types for types in self.reasons.values()):
                return _unsuccessful("The defense document type is not applicable")
            case.documents[code] = data
        return _success()

    def _lacks(self, case: _Case, reason: str) -> str | None:
        levels = self.reasons[reason]
        for code, level in levels.items():
            if level == "Required" and code not in case.documents:
                return code
        for level in ("OneOrMore", "AlternativeRequired"):
            group = [code for code, of in levels.items() if of == level]
            if group and not any(code in case.documents for code in group):
                return group[0]
        return None

    def _defend(self, case: _Case, reason: str | None, call: ApiCall) -> ApiReply:
        if reason not in self.reasons:
            return _unsuccessful("The defense reason is not applicable")
        lacks = self._lacks(case, reason)
        if lacks:
            return _unsuccessful(f"A required defense document is missing: {lacks}")
        case.answered = Act.SUBMIT
        told = {"reason": reason, **{code: str(len(data)) for code, data in case.documents.items()}}
        self.taken.append(Taken(case.contest.dispute_id, Act.SUBMIT, call.at, told))
        return _success()


def _success(**more: object) -> ApiReply:
    return ApiReply(200, json.dumps({"disputeServiceResult": {"success": True}, **more}).encode())


def _unsuccessful(message: str) -> ApiReply:
    return ApiReply(200, json.dumps({"disputeServiceResult": {"success": False, "errorMessage": message}}).encode())


def _error(status: int, code: str, message: str, kind: str) -> ApiReply:
    return ApiReply(
        status, json.dumps({"status": status, "errorCode": code, "message": message, "errorType": kind}).encode()
    )


DESK = AdyenDesk
