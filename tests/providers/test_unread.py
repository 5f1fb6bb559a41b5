"""What an adapter knows of a provider's messages and does not read, with the reason, where it could matter.

A member that the shape lists is no news when it comes, so nobody would ever hear that it was not read.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.domain.delivery import Delivery, Verdict
from shared.domain.events import PaymentChanged
from shared.providers.kit.countries import alpha_2
from tests.providers.kits import NOON, a_fact, a_kit
from tests.providers.shapes import shape_of
from tests.simulator.facts import FactKind

# Names that bear a customer, a device, an address, an amount, an id or a date.
TELLING = re.compile(
    r"cust|shopp|payer|buyer|consumer|user|account|device|\bip|ip_|IP$|country|storefront|email|fingerprint"
    r"|\bbin|Bin$|iin|last.?4|amount|date$|_at$|-at$|Date$|At$|(_|-|^)id$|Id$|refer|token",
    flags=re.IGNORECASE,
)
PERSONAL = "a name, a birth date, an address, a telephone or a bank account's number: kept nowhere"
MERCHANT = "the merchant's or the seller's own account, place, staff, shop or terminal"
OTHER_MONEY = "a part, a fee, a limit, or a sum that the steps add up to"
OTHER_TIME = "when something else happened, or will: the event's own time orders what is told"
OTHER_THING = "the id of something that no payment, refund or dispute is looked for by"
GOODS = "what was sold, or how it is billed"
PROOF = "of the issuer's, the network's or the wallet's own exchange"
ANSWER = "of the answer to a dispute, which is ours"
NO_HOME = "no event of ours has a place for it"
OF_CARD = "another writing of what is read already: card, country or token"
READ_BACK = "nobody signed it: the object is read back"
PAGE = "what a page, an app or a terminal shows, or may offer"
NOT_SETTLED = "public pages do not settle whose it is"

NOT_READ: Mapping[str, Mapping[str, str]] = {
    "adyen": {
        PERSONAL: "bankAccount.iban bankAccount.ownerName bankAccountNumber iDealConsumerAccountNumber"
        " iDealConsumerBIC iDealConsumerCity iDealConsumerIBAN iDealConsumerIban iDealConsumerName shopperName"
        " shopperSocialSecurityNumber shopperTelephone swish.payerAlias shopperLocale deliveryAddress.country"
        " GoPay.gopayAccountId bankLocationId",
        MERCHANT: "InvoiceCreditorAccount authorisationMid directdebit_GB.serviceUserName"
        " directdebit_GB.serviceUserNumber shopperStatement terminalId tenderReference",
        OTHER_MONEY: "authorisedAmountCurrency authorisedAmountValue requestAmount"
        " issuerComments.disputeAmountChangeReason",
        OTHER_TIME: "bookingDate expiryDate networkTxDate sepadirectdebit.sepadirectdebit.dueDate"
        " issuerComments.attemptedReturnDate issuerComments.cancellationDate"
        " issuerComments.creditVoucherOrTransactionReceiptDate issuerComments.merchandiseServiceReceivedDate"
        " issuerComments.merchandiseWasCounterfeitDate issuerComments.returnedMerchandiseReceivedDate"
        " issuerComments.serviceReceivedDate",
        OTHER_THING: "captureMerchantReference capturePspReference checkoutSessionId directdebit_GB.mandateId"
        " iDealTransactionId merchantOrderReference modificationMerchantReferences originalMerchantReference"
        " paymentLinkId paypalPairingId retry.rescueReference riskExperimentReference riskProfileReference"
        " sepadirectdebit.mandateId transactionId tokenization.storedPaymentMethodId",
        PROOF: "accountValidation domesticShopperAdvice dsTransID mcBankNetReferenceNumber nfc.uid opi.transToken"
        " receipt.retrievalReferenceNumber referred transactionLinkId xid paypalPayerStatus",
        OF_CARD: "binRangeId cardAltID cardIssuerCountryId cardProductId latestCard.bin latestCard.expiryDate"
        " networkToken.available networkToken.bin networkToken.tokenSummary realtimeAccountUpdaterStatus"
        " tokenTxVariant tokenization.store.operationType untokenisedCardSummary deviceType",
        NOT_SETTLED: "modifiedShopperReference",
    },
    "apple": {
        PROOF: "deviceVerification deviceVerificationNonce",
        OTHER_TIME: "expiresDate gracePeriodExpiresDate originalPurchaseDate preorderDate purchaseDate"
        " receiptCreationDate recentSubscriptionStartDate revocationDate tokenCreationDate"
        " commitmentExpiresDate commitmentRenewalDate refundDate",
        GOODS: "commitmentAutoRenewProductId autoRenewProductId productId webOrderLineItemId",
        OTHER_THING: "consistencyToken requestReferenceId",
        # Of an item of Advanced Commerce: whether it is all that went back of its transaction, and counts the tax.
        NOT_SETTLED: "refundAmount",
        OF_CARD: "storefrontId storefrontCountryCodes",
    },
    "braintree": {
        PERSONAL: "payer-id payer-name reviewer-email customer-location account-holder-name payer-first-name payer-last-name"
        " recipient-email tax-id",
        MERCHANT: "merchant-account-id source-merchant-id sub-merchant-account sub-merchant-account-id"
        " merchant-id oauth-application-client-id payee-email payee-id user",
        OTHER_MONEY: "account-balance discount-amount next-bill-amount next-billing-period-amount service-fee-amount"
        " shipping-amount shipping-tax-amount surcharge-amount tax-amount tax_amount"
        " refund-from-transaction-fee-amount settlement-amount transaction-fee-amount",
        OTHER_TIME: "authorization-expires-at billing-period-end-date billing-period-start-date created-at"
        " disbursement-date effective-date first-billing-date next-billing-date paid-through-date received-date"
        " sent-to-processor-at upcoming-retry-date updated-at accepted-at mandate-accepted-at sent-at"
        " transaction-initiation-date transaction-updated-date",
        OTHER_THING: "authorized-transaction-global-id customer-global-id global-id graphql-id"
        " payment-context-id payment-method-token refund-id"
        " reference-number settlement-batch-id subscription-id token authorization-id bank-reference-token"
        " billing-agreement-id call-id capture-id container-id custom-field debug-id duplicate-of-transaction-id"
        " google-transaction-id implicitly-vaulted-payment-method-global-id implicitly-vaulted-payment-method-token"
        " invoice-id mandate-reference-number merchant-token-identifier paypal-tracker-id paypal-tracking-id"
        " paypal-v2-order-id source-payment-method-token",
        PROOF: "acs-transaction-id ds-transaction-id mastercard-transaction-link-id retrieval-reference-number"
        " three-d-secure-authentication-id three-d-secure-server-transaction-id voice-referral-number xid"
        " device-data-captured payer-status",
        OF_CARD: "account-funding-transaction account-type bin-extended consumer country-code-numeric country-name"
        " processed-with-network-token product-id card-member-expiry-date"
        " is-network-tokenized source-card-last4",
        GOODS: "plan-id",
        NO_HOME: "username venmo-user-id",  # a wallet's own name of who pays
    },
    "checkout": {
        MERCHANT: "client_id entity_id processing_channel_id workflow_action_id workflow_id",
        PERSONAL: "zip",
        OTHER_MONEY: "available_to_void",
        OTHER_TIME: "date",
        OTHER_THING: "payment_action_id payment_reference",
        PROOF: "acquirer_transaction_id retrieval_reference_number xid",
        NO_HOME: "acquirer_reference_number",
        OF_CARD: "cko_network_token_available product_id",
    },
    "dlocal": {
        PERSONAL: "bank_account bank_account_type birth_date zip_code",
        MERCHANT: "custom_merchant_name",
        OTHER_TIME: "registration_date registration_ip",
        OF_CARD: "payment_method_id",
    },
    "gocardless": {
        OTHER_THING: "customer customer_bank_account mandate mandate_request_mandate new_customer_bank_account new_mandate"
        " payer_authorisation payment_account_transaction previous_customer_bank_account",
        NO_HOME: "bank_account_id",
    },
    "google": {
        NO_HOME: "obfuscatedAccountId obfuscatedProfileId",
        GOODS: "subscriptionId",
    },
    "klarna": {
        MERCHANT: "merchant_id product_instance_id recipient_account_id subject_account_id webhook_id",
        OTHER_TIME: "closed_at requested_at updated_at",
        OTHER_THING: "correlation_id interoperability_token klarna_network_session_token merchant_reference2"
        " merchant_reference_2 payment_capture_reference payment_dispute_attachment_id payment_token"
        " payment_transaction_reference",
        NOT_SETTLED: "payment_account_id payment_account_reference",
    },
    "mercadopago": {
        MERCHANT: "application_id site_id user_id",
        GOODS: "product_id",
        OTHER_THING: "transaction_intent_id client_token",
        READ_BACK: "country country_code created_date last_updated_date total_amount total_paid_amount billing_date card_id"
        " e2e_id invoice_id paid_amount payment_profile_id previous_transaction_reference references refunded_amount"
        " schedule_date source_id token transaction_id",
    },
    "mollie": {
        PERSONAL: "consumerBic consumerName bankAccount",
        MERCHANT: "balanceId profileId organizationId terminalId",
        OTHER_TIME: "cardExpiryDate expiresAt completedAt dueDate initiatedAt releaseDate signatureDate",
        OTHER_THING: "mandateId orderId settlementId shipmentId subscriptionId batchReference bizumReference"
        " customerReference fileReference mandateReference multibancoReference paypalReference transferReference",
        GOODS: "startDate",
        OF_CARD: "restrictPaymentMethodsToCountry",
        NO_HOME: "paypalPayerId",
    },
    "paypal": {
        PERSONAL: "note_to_payer birth_date tax_id",
        MERCHANT: "merchant_id payee_pricing_tier_id payee_receivable_fx_rate_id template_id",
        GOODS: "allow_tip item_date start_date",
        OTHER_TIME: "buyer_response_due_date date buyer_contacted_channel buyer_contacted_time cancellation_date"
        " cancelled_date created_date due_date expected_delivery_date first_sent_date invoice_date last_sent_date"
        " last_updated_date payment_date refund_date",
        OTHER_THING: "buyer_transaction_id reference_id consumer_reference method_id owner_id parent_id"
        " partner_transaction_id payer_view_url reference reference_url token",
        # A wallet's own name of who pays.
        NO_HOME: "acquirer_reference_number payer_id account_id account_status user_name",
    },
    "razorpay": {
        PERSONAL: "customer_communication account_number beneficiary_email customer_contact customer_name payer_account"
        " payer_bank payer_ifsc payer_vpa",
        MERCHANT: "account_type terminal_id user_id username",
        OTHER_MONEY: "amount_due amount_paid amount_refunded amount_transferred base_amount amount_expected cess_amount"
        " first_min_partial_amount first_payment_amount first_payment_min_amount fixed_amount gross_amount gst_amount"
        " max_amount net_amount payment_amount payments_amount_received tax_amount taxable_amount unit_amount",
        OTHER_TIME: "submitted_at cancelled_at change_scheduled_at charge_at closed_at date deleted_at end_at ended_at"
        " expire_at expired_at issued_at paid_at paused_at start_at updated_at",
        OTHER_THING: "batch_id card_id invoice_id offer_id bank_reference bank_transaction_id customer_notify email_status"
        " form_reference1 form_reference2 npci_reference_id plink_id ref_id reference reference_id source_id"
        " subscription_id token_id transaction_id upi_transaction_id virtual_account_id",
        GOODS: "item_id plan_id",
        PROOF: "authentication_reference_number",
        OF_CARD: "token_iin",
        NO_HOME: "payer_account_type",
    },
    "square": {
        PERSONAL: "account_number_suffix account_ownership_type account_type buyer_cashtag buyer_full_name bank_account"
        " eu_vat",
        MERCHANT: "app_id application_id creator_team_member_id device_id device_installation_id device_name employee_id"
        " team_member_id terminal_checkout_id terminal_id terminal_refund_id source_id",
        OTHER_MONEY: "buyer_currency_exchange",
        OTHER_TIME: "arrival_date authorized_at captured_at client_created_at disabled_at effective_at"
        " issuer_alert_at reported_at reported_date voided_at due_date sale_or_service_date"
        " scheduled_at sent_at uploaded_at",
        OTHER_THING: "brand_dispute_id end_to_end_id payment_source_token version_token card_id subscription_id uid",
        PAGE: "custom_tip_field separate_tip_screen skip_receipt_screen tip_percentages",
    },
    "stripe": {
        PERSONAL: "billing_zip instructions_email shipping_address_zip shipping_from_zip tax_id account_holder_name"
        " account_holder_type account_number buyer_address iban_last4 pay_id payer_name verified_phone_last4"
        " email_sent_to",
        ANSWER: "customer_account_id customer_device_fingerprint customer_device_id customer_email_address customer_name"
        " customer_purchase_ip duplicate_charge_id service_date shipping_date",
        OTHER_MONEY: "amount_authorized amount_subtotal application_fee_amount maximum_amount_capturable"
        " shipping_amount amount_discount amount_shipping amount_tax amount_tax_display discount_amount"
        " presentment_amount tax_amount taxable_amount total_tax_amount",
        OTHER_TIME: "canceled_at completes_at expires_at stored_at email_sent_at expected_debit_date",
        OTHER_THING: "account_type customer_creation customer_reference user_report bank_transaction_id case_id"
        " financial_connections_account mandate payment_reference persistent_token reference reference_status"
        " reference_type token_currency",
        PROOF: "application_preferred_name preferred preferred_locales transaction_id transaction_link_id",
        OF_CARD: "dynamic_last4",
        GOODS: "preferred_language preferred_locale",
        # The device and address of a review, which follows a payment that told them; a wallet's own name of who pays.
        NO_HOME: "device ip_address buyer_id payer_id",
    },
    "worldpay": {
        OTHER_TIME: "date",
        OTHER_THING: "commandId octReference orderReference paymentId",  # every message has transactionReference too
    },
}

MERCHANTS_OWN = "names and words of the merchant's own"
EXPANDED = "an id in every message: only who asks for the object gets it, and we do not ask"
AGAIN = "told again, or in a message of its own"

LINKS = "addresses of its provider's own pages and objects"
UNDESCRIBED = "its provider describes nothing in it"

# Members of which anything is known (`"*"`), by the end of their path: what is in them is neither news nor asked for.
LEFT_OPEN: Mapping[str, Mapping[str, str]] = {
    "adyen": {UNDESCRIBED: "additionalData.NAME1"},
    "apple": {},
    "braintree": {
        MERCHANTS_OWN: "custom-fields",
        AGAIN: "Transaction.disputes",
        UNDESCRIBED: "payment-facilitator transfer",  # sellers behind a merchant, and who sends money to whom
    },
    "checkout": {MERCHANTS_OWN: "metadata", LINKS: "_links event_links"},
    "dlocal": {},
    "gocardless": {MERCHANTS_OWN: "metadata resource_metadata", PERSONAL: "property_updates"},
    "google": {UNDESCRIBED: "message.attributes"},
    "klarna": {},
    "mercadopago": {},
    "mollie": {
        MERCHANTS_OWN: "metadata",
        LINKS: "_links",
        GOODS: "Refund.lines",
        AGAIN: "order.* payment-link.* sales-invoice.*",  # in the payments that they led to, which are read
    },
    "paypal": {
        UNDESCRIBED: "fee_policy fund_movements",
        AGAIN: "transmissions",  # how often a message was sent, and what was answered
    },
    "razorpay": {MERCHANTS_OWN: "notes"},
    "square": {MERCHANTS_OWN: "invoice.custom_fields"},
    "stripe": {
        MERCHANTS_OWN: "metadata CheckoutSession.custom_fields CheckoutSession.custom_text",
        EXPANDED: "BalanceTransaction.source application application_fee customer mandate generated_sepa_debit_mandate"
        " on_behalf_of setup_attempt setup_intent account discount destination source_transfer transfer"
        " source_transfer_reversal transfer_reversal payment_record invoice payment_link subscription coupon"
        " promotion_code rate shipping_rate account_tax_ids",
        ANSWER: "evidence.cancellation_policy evidence.customer_communication evidence.customer_signature"
        " evidence.duplicate_charge_documentation evidence.receipt evidence.refund_policy"
        " evidence.service_documentation evidence.shipping_documentation evidence.uncategorized_file",
        GOODS: "CheckoutSession.line_items amount_details.line_items",
        PAGE: "payment_method_options next_action",
        # Sources are of before there were payment methods; a charge tells both, and a failed one has a message too.
        AGAIN: "Charge.source PaymentIntent.source last_payment_error.source previous_attributes",
    },
    "worldpay": {LINKS: "_links"},
}


def members(told: Any) -> Iterator[str]:
    """The names of plain members anywhere in a shape."""
    if isinstance(told, dict):
        for name, inner in told.items():
            yield from inner.split() if name == "" else members(inner)


def words_of(name: str) -> set[str]:
    """Every text in the source of the adapter, but for how disputes are answered: there nothing is read of a message."""
    return {
        node.value
        for file in Path(shape_of(name)).parent.glob("*.py")
        if file.name != "answer.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("name", providers.names())
def test_every_telling_member_that_is_known_is_read_or_there_is_a_reason(name: str) -> None:
    file = json.loads(shape_of(name).read_text())
    known = {
        one for section, told in file.items() if section not in ("ignored", "words") for one in members({section: told})
    }
    telling = {one for one in known if TELLING.search(one) and not one.endswith("*")}
    unread = {one for names in NOT_READ[name].values() for one in names.split()}
    assert unread - known == set(), "no longer known"
    assert telling - words_of(name) - unread == set(), "read them, or say why not"
    assert unread & words_of(name) == set(), "they are read: there is no reason any more"


def left_open(told: Any, *above: str) -> Iterator[str]:
    """The paths of all members of which anything is known."""
    if told == "*":
        yield ".".join(above)
    elif isinstance(told, dict):
        for name, inner in told.items():
            yield from left_open(inner, *above, name.strip())


def ends(path: str, end: str) -> bool:
    return f".{path}".endswith(f".{end}")


@pytest.mark.parametrize("name", providers.names())
def test_a_member_that_is_left_open_has_a_reason(name: str) -> None:
    paths = list(left_open(json.loads(shape_of(name).read_text())))
    reasons = [end for told in LEFT_OPEN[name].values() for end in told.split()]
    assert [path for path in paths if not any(ends(path, end) for end in reasons)] == [], (
        "list what is in it, or say why"
    )
    assert [end for end in reasons if not any(ends(path, end) for path in paths)] == [], "not open any more"


def where(tree: Any, path: str) -> tuple[Any, str]:
    *way, last = path.split("/")
    for step in way:
        tree = tree[int(step)] if isinstance(tree, list) else tree.setdefault(step, {})
    return tree, last


ADYEN = "notificationItems/0/NotificationRequestItem/additionalData/"
BRAINTREE = "notification/subject/subscription/transactions/0/"
APPLE = "signedPayload/payload/data/signedTransactionInfo/payload/"
SQUARE = "data/object/payment/"


@pytest.mark.parametrize(
    ("name", "path", "instead_of", "value", "member", "expected"),
    [
        ("adyen", f"{ADYEN}paymentAccountReference", f"{ADYEN}alias", "PAR1", "card.fingerprint", "PAR1"),
        ("adyen", f"{ADYEN}issuerBin", f"{ADYEN}cardBin", "42424242", "card.bin", "42424242"),
        ("adyen", f"{ADYEN}visaTransactionId", f"{ADYEN}networkTxReference", "VT1", "network_transaction_id", "VT1"),
        ("adyen", f"{ADYEN}billingAddress.country", f"{ADYEN}shopperCountry", "SE", "billing_country", "SE"),
        ("adyen", f"{ADYEN}paypalEmail", f"{ADYEN}shopperEmail", "ana@music.example", "email_domain", "music.example"),
        ("apple", f"{APPLE}storefront", f"{APPLE}storefront", "SWE", "billing_country", "SE"),
        ("apple", f"{APPLE}appTransactionId", f"{APPLE}appAccountToken", "70412", "customer_id", "70412"),
        ("braintree", f"{BRAINTREE}credit-card/country-of-issuance", "", "USA", "card.country", "US"),
        ("braintree", f"{BRAINTREE}credit-card/country-of-issuance", "", "Unknown", "card.country", None),
        (
            "braintree",
            f"{BRAINTREE}billing/country-code-alpha3",
            f"{BRAINTREE}billing/country-code-alpha2",
            "SWE",
            "billing_country",
            "SE",
        ),
        ("braintree", f"{BRAINTREE}authorized-transaction-id", "", "whole", "aliases", ("whole",)),
        ("checkout", "data/source/payment_account_reference", "data/source/fingerprint", "P", "card.fingerprint", "P"),
        ("dlocal", "payer/address/country", "", "UY", "billing_country", "UY"),
        ("square", f"{SQUARE}card_details/card/customer_id", f"{SQUARE}customer_id", "C1", "customer_id", "C1"),
        (
            "square",
            f"{SQUARE}card_details/card/billing_address/country",
            f"{SQUARE}billing_address",
            "SE",
            "billing_country",
            "SE",
        ),
        (
            "square",
            f"{SQUARE}buy_now_pay_later_details/clearpay_details/email_address",
            f"{SQUARE}buyer_email_address",
            "ana@music.example",
            "email_domain",
            "music.example",
        ),
    ],
)
def test_what_is_told_under_another_name_is_read_there(
    name: str, path: str, instead_of: str, value: str, member: str, expected: object, tmp_path: Path
) -> None:
    kit = a_kit(name, tmp_path)
    kind = FactKind.AUTHORIZED if name in ("adyen", "checkout", "square") else FactKind.CAPTURED
    tree = kit.opened(kit.signed(kit.simulator.requests(a_fact(kind))[0]).body)
    if instead_of:
        parent, last = where(tree, instead_of)
        parent.pop(last, None)
    parent, last = where(tree, path)
    parent[last] = value
    delivery = Delivery(name, kit.sealed(tree), {}, NOON)
    (event,) = kit.normalize(delivery, Verdict(("k",), signed_at=NOON)).events
    assert isinstance(event, PaymentChanged)
    found: Any = event
    for step in member.split("."):
        found = getattr(found, step)
    assert found == expected


@pytest.mark.parametrize(("told", "read"), [("USA", "US"), ("usa", "US"), ("SE", "SE"), ("XXX", None), (None, None)])
def test_a_country_is_two_letters(told: str | None, read: str | None) -> None:
    assert alpha_2(told) == read
