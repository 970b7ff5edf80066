"""Every route of the API: what it takes, what it answers, how it refuses, and a request to try.

operation(method, path) -> Operation
"""

from dataclasses import dataclass
from typing import Any

from assisters_app.keys.terms import Scope
from assisters_app.openapi.problems import BODY, KEY, METERED, ONCE
from assisters_app.openapi.schemas import Schema, event, ref

JSON = "application/json"
KINDS = {  # of sound, as OpenAI names them
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
EVENTS = "text/event-stream"
FORM = "multipart/form-data"
TAGS = {
    "Chat": "Conversations, whole or streamed.",
    "Embeddings": "For search and comparison.",
    "Moderations": "Find out whether something is harmful.",
    "Rerank": "Put documents in order.",
    "Audio": "Turn text into speech, and speech into text.",
    "Images": "Make pictures.",
    "Models": "What can be called. Not billed.",
    "Usage and limits": "What was used, and what is left. Not billed.",
    "Wallet": "What is in the wallet, how it came to be that, and where to top it up. Not billed.",
    "Service": "For probes and tools: no key is needed.",
    "Webhooks": "Where other services report to us.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path or the query."""

    name: str
    text: str
    schema: Schema
    where: str = "query"


IDEMPOTENCY = Parameter(
    "Idempotency-Key",
    "Any text of up to 255 characters, new for each request. Sent again within a day with the same request, it gets the "
    "same answer, and the request is done and charged once.",
    {"type": "string", "maxLength": 255, "pattern": "^[ -~]+$", "examples": ["9c6f2a1e-invoice-42"]},
    "header",
)
STORING = Parameter(
    "X-Store-Content",
    "`false` leaves this call out of what a key keeps of its content for a day; no key keeps any unless its owner turns "
    'that on. `"store": false` in a JSON body does the same.',
    {"type": "string", "enum": ["true", "false"]},
    "header",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a successful call answers: schemas by media type. `status` is its HTTP status."""

    text: str
    content: dict[str, Schema]
    status: int = 200
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    `takes` holds the schema of the body by media type; `tried` is a body that works (in a form, `file` is a file's name);
    `sdk` is how OpenAI's client calls
    it, where it can. A metered operation says what it cost, and may hand on a model's own refusal.
    """

    method: str
    path: str
    id: str
    tag: str
    title: str
    text: str
    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    takes: dict[str, Schema] | None = None
    tried: Any = None
    sdk: str = ""
    parameters: tuple[Parameter, ...] = ()
    public: bool = False
    metered: bool = False
    needs: Scope | None = None  # the scope that a key must have; metered operations need `chat`

    @property
    def scope(self) -> Scope | None:
        """Return the scope that a key must have for it, None where any key, or none, will do."""
        return "chat" if self.metered else self.needs

    @property
    def limited(self) -> bool:
        """Say whether its answers tell what is left of the limits: to whoever has a key, every one does."""
        return not self.public

    @property
    def repeatable(self) -> bool:
        """Say whether an Idempotency-Key makes it safe to send again."""
        return self.method == "POST" and not self.public

    @property
    def takes_beside_its_body(self) -> tuple[Parameter, ...]:
        """Return every parameter in the path, the query and the headers."""
        storing = (STORING,) if self.metered else ()
        return (*self.parameters, *storing, IDEMPOTENCY) if self.repeatable else self.parameters


NAMES: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": 50}  # repeated, or separated by commas

OPERATIONS = (
    Operation(
        "POST",
        "/v1/chat/completions",
        "createChatCompletion",
        "Chat",
        "Answer a conversation",
        "Send the conversation so far; get the next message, whole or as a stream of events. A stream that fails on the "
        "way ends with an event that holds an `error`, and is free.",
        (Answer("The answer, or with `stream` its events.", {JSON: ref("ChatAnswer"), EVENTS: event("ChatChunk")}),),
        METERED,
        takes={JSON: ref("ChatRequest")},
        tried={"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Say hello."}]},
        sdk="chat.completions.create",
        metered=True,
    ),
    Operation(
        "POST",
        "/v1/responses",
        "createResponse",
        "Chat",
        "Answer in the newer shape",
        "What `/v1/chat/completions` does, as OpenAI's Responses API has it: send a text or items, get items, whole or as a "
        "stream of typed events. Nothing is kept, so send the whole conversation; tools are those you run yourself.",
        (
            Answer(
                "The response, or with `stream` its events.", {JSON: ref("Response"), EVENTS: event("ResponseEvent")}
            ),
        ),
        METERED,
        takes={JSON: ref("ResponseRequest")},
        tried={"model": "assisters-chat-v1", "input": "Say hello."},
        sdk="responses.create",
        metered=True,
    ),
    Operation(
        "POST",
        "/v1/embeddings",
        "createEmbeddings",
        "Embeddings",
        "Turn texts into vectors",
        "Send one text or up to 2,048; get a vector for each, as floats or in base64.",
        (Answer("One vector for each input, in their order.", {JSON: ref("EmbeddingsAnswer")}),),
        METERED,
        takes={JSON: ref("EmbeddingsRequest")},
        tried={"model": "assisters-embed-v1", "input": ["A text.", "Another text."]},
        sdk="embeddings.create",
        metered=True,
    ),
    *(
        Operation(
            "POST",
            path,
            name,
            "Moderations",
            title,
            text,
            (Answer("A judgement of each text, or one of all parts together.", {JSON: ref("ModerationAnswer")}),),
            METERED,
            takes={JSON: ref("ModerationRequest")},
            tried={"model": "assisters-moderation-v1", "input": "A text."},
            sdk=sdk,
            metered=True,
        )
        for path, name, title, text, sdk in (
            (
                "/v1/moderations",
                "createModeration",
                "Judge texts and pictures",
                "Send a text, up to 1,000 texts, or parts; learn which kinds of harm are in them. Sold by the token.",
                "moderations.create",
            ),
            (
                "/v1/moderate",
                "moderate",
                "Judge, by its other name",
                "The same as `/v1/moderations`, under its Assisters name.",
                "",
            ),
        )
    ),
    Operation(
        "POST",
        "/v1/rerank",
        "rerank",
        "Rerank",
        "Rank documents by a query",
        "Send a query and up to 1,000 documents; get them back with a score each, the best first. Sold by the document: "
        "up to 512 tokens of query and document together count as one, a longer one once for each 512 begun.",
        (Answer("The documents by their index, the best first.", {JSON: ref("RerankAnswer")}),),
        METERED,
        takes={JSON: ref("RerankRequest")},
        tried={
            "model": "assisters-rerank-v1",
            "query": "capital of Norway",
            "documents": ["A cat sat on the mat.", "Oslo is the capital of Norway."],
        },
        metered=True,
    ),
    Operation(
        "POST",
        "/v1/audio/speech",
        "createSpeech",
        "Audio",
        "Turn text into speech",
        "Send up to 4,096 characters; get sound while it is made. Sold by the character: once any sound has come, for all "
        "of them. An answer that breaks off is free.",
        (Answer("The sound, of the kind asked for.", {kind: {} for kind in KINDS.values()}),),
        METERED,
        takes={JSON: ref("SpeechRequest")},
        tried={"model": "assisters-tts-v1", "voice": "alloy", "input": "Hello.", "response_format": "wav"},
        sdk="audio.speech.create",
        metered=True,
    ),
    Operation(
        "POST",
        "/v1/audio/transcriptions",
        "createTranscription",
        "Audio",
        "Turn speech into text",
        "Send a recording of up to 25 MB as a form; get what was said. It is handed on while it arrives, and kept nowhere. "
        "Sold by the second that was begun, two hours at most.",
        (
            Answer(
                "What was said, in the form asked for.",
                {JSON: ref("TranscriptionAnswer"), "text/plain": {"type": "string"}},
            ),
        ),
        (*METERED, "invalid_form"),
        takes={FORM: ref("TranscriptionRequest")},
        tried={"model": "assisters-whisper-v1", "file": "speech.wav"},
        sdk="audio.transcriptions.create",
        metered=True,
    ),
    Operation(
        "POST",
        "/v1/images/generations",
        "createImage",
        "Images",
        "Make pictures",
        "Send a prompt; get up to ten pictures of up to 1,024 by 1,024 points. Sold by the picture that comes back.",
        (Answer("The pictures, as addresses or in base64.", {JSON: ref("ImagesAnswer")}),),
        METERED,
        takes={JSON: ref("ImagesRequest")},
        tried={"model": "assisters-image-v1", "prompt": "A house by the sea.", "response_format": "b64_json"},
        sdk="images.generate",
        metered=True,
    ),
    Operation(
        "GET",
        "/v1/models",
        "listModels",
        "Models",
        "List the models",
        "Every model that can be called now.",
        (Answer("The models.", {JSON: ref("Models")}),),
        KEY,
        sdk="models.list",
    ),
    Operation(
        "GET",
        "/v1/models/{model}",
        "getModel",
        "Models",
        "Get one model",
        "One model, by its id.",
        (Answer("The model.", {JSON: ref("Model")}),),
        (*KEY, "model_not_allowed", "model_not_found", "unknown_url"),
        sdk="models.retrieve",
        parameters=(
            Parameter("model", "The model's id.", {"type": "string", "examples": ["assisters-chat-v1"]}, "path"),
        ),
    ),
    Operation(
        "GET",
        "/v1/rate-limit",
        "getRateLimit",
        "Usage and limits",
        "See your limits",
        "Requests and tokens that may still come in this minute. Asking counts as nothing.",
        (Answer("The limits, and what is left of them.", {JSON: ref("RateLimit")}),),
        KEY,
    ),
    Operation(
        "GET",
        "/v1/usage",
        "getUsage",
        "Usage and limits",
        "See what was used",
        "What your organization used, in buckets of time, in the shape of OpenAI's usage API. Days are UTC. "
        "Minutes go back as far as the request log, 30 days; a page of them ends early where very many calls were made. "
        "At most 60 questions a minute.",
        (Answer("One page of buckets.", {JSON: ref("UsagePage")}),),
        (*KEY, "scope_missing", "invalid_value", "too_many"),
        needs="read",
        parameters=(
            Parameter(
                "start_time",
                "From when, in Unix seconds. Usually a week ago, with `1m` an hour.",
                {"type": "integer", "minimum": 0},
            ),
            Parameter("end_time", "Until when, in Unix seconds. Usually now.", {"type": "integer", "minimum": 0}),
            Parameter(
                "bucket_width",
                "How long a bucket is. Usually a day.",
                {"type": "string", "enum": ["1m", "15m", "1h", "1d"]},
            ),
            Parameter(
                "group_by",
                "Split each bucket by these: repeated, or separated by commas.",
                {"type": "array", "items": {"type": "string", "enum": ["model", "api_key_id", "endpoint"]}},
            ),
            Parameter("models", "Count these models only.", NAMES),
            Parameter("api_key_ids", "Count these keys only, by their `api_key_id`.", NAMES),
            Parameter(
                "limit",
                "The most buckets of a page: up to 1440 of `1m` (usually 60), 672 of `15m` (96), 168 of `1h` (24), "
                "31 of `1d` (7).",
                {"type": "integer", "minimum": 1, "maximum": 1_440},
            ),
            Parameter("page", "What the page before gave as `next_page`.", {"type": "string"}),
        ),
    ),
    Operation(
        "GET",
        "/v1/wallet/balance",
        "getBalance",
        "Wallet",
        "See what is in the wallet",
        "What the books hold, and what of it may be spent now. Needs the scope `read`. At most 60 questions a minute.",
        (Answer("The wallet.", {JSON: ref("WalletBalance")}),),
        (*KEY, "scope_missing", "too_many"),
        needs="read",
    ),
    Operation(
        "GET",
        "/v1/wallet/transactions",
        "listTransactions",
        "Wallet",
        "See what moved",
        "Every top-up, bonus, refund and use, the latest first. Needs the scope `read`. At most 60 questions a minute.",
        (Answer("One page.", {JSON: ref("WalletTransactions")}),),
        (*KEY, "scope_missing", "invalid_value", "too_many"),
        needs="read",
        parameters=(
            Parameter("limit", "How many on a page. Usually 20.", {"type": "integer", "minimum": 1, "maximum": 100}),
            Parameter("after", "The `last_id` of the page before.", {"type": "string"}),
            Parameter(
                "kind",
                "Only those of one kind.",
                {
                    "type": "string",
                    "enum": ["topup", "bonus", "usage", "refund", "dispute", "adjustment", "carried"],
                },
            ),
        ),
    ),
    Operation(
        "POST",
        "/v1/wallet/top-up",
        "topUp",
        "Wallet",
        "Top the wallet up",
        "Orders credit and returns the page on which a person pays for it. Nothing is charged before that. Needs a live "
        "key with the scope `write`. At most ten orders a minute.",
        (Answer("Where to pay.", {JSON: ref("TopUp")}),),
        (
            *KEY,
            *BODY,
            *ONCE,
            "scope_missing",
            "live_key_required",
            "amount_too_small",
            "amount_too_large",
            "too_many",
            "payments_off",
            "payments_unreachable",
        ),
        needs="write",
        takes={JSON: ref("TopUpRequest")},
        tried={"amount": "25.00"},
    ),
    Operation(
        "GET",
        "/v1/openapi.json",
        "getDocument",
        "Service",
        "Get this document",
        "What the API is, as an OpenAPI 3.1 document. It may be kept for five minutes, and asked for with `If-None-Match`.",
        (
            Answer("The document.", {JSON: {"type": "object"}}, headers=("ETag",)),
            Answer("You have it already.", {}, status=304, headers=("ETag",)),
        ),
        ("internal_error",),
        public=True,
    ),
    Operation(
        "GET",
        "/healthz",
        "getHealth",
        "Service",
        "Liveness",
        "Says that this process answers.",
        (Answer("It answers.", {JSON: ref("Health")}),),
        ("internal_error",),
        public=True,
    ),
    Operation(
        "GET",
        "/readyz",
        "getReadiness",
        "Service",
        "Readiness",
        "Says whether what calls need answers too.",
        (
            Answer("It can.", {JSON: ref("Readiness")}),
            Answer("It cannot: a check says why.", {JSON: ref("Readiness")}, status=503),
        ),
        ("internal_error",),
        public=True,
    ),
    Operation(
        "POST",
        "/webhooks/stripe",
        "receiveStripeEvent",
        "Webhooks",
        "Take an event from Stripe",
        "Only Stripe can call this: its signature over the raw body is checked.",
        (Answer("The event was stored.", {JSON: ref("Received")}),),
        ("bad_signature", "incomplete", "not_found", "request_timeout", "body_too_large", "internal_error"),
        takes={JSON: ref("StripeEvent")},
        public=True,
    ),
    Operation(
        "POST",
        "/webhooks/github/secret-scanning",
        "receiveLeakedKeys",
        "Webhooks",
        "Take API keys that were found in public",
        "For GitHub's secret scanning: its signature over the raw body is checked. A key of ours is revoked at once and "
        "its owner told; the answer says for each token, by its SHA-256, whether it is one.",
        (Answer("Which of them are keys of ours.", {JSON: ref("LeakLabels")}),),
        (
            *("bad_signature", "invalid_json", "incomplete", "not_found", "request_timeout", "body_too_large"),
            *("too_many", "internal_error", "service_unavailable"),
        ),
        takes={JSON: ref("LeakedKeys")},
        public=True,
    ),
)


def operation(method: str, path: str) -> Operation:
    """Return what is written about a route; raise KeyError when nothing is."""
    return _BY_ROUTE[method, path]


_BY_ROUTE = {(one.method, one.path): one for one in OPERATIONS}
