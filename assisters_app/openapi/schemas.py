"""Every body the API takes or gives, as JSON Schema (2020-12, as OpenAPI 3.1 has it), by name.

What is taken is described as far as we read it; other parameters are handed to the model as they are.
"""

from typing import Any

Schema = dict[str, Any]


def _object(
    properties: dict[str, Schema], *, required: tuple[str, ...] = (), text: str = "", more: bool = True
) -> Schema:
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = list(required)
    if text:
        found["description"] = text
    return found if more else {**found, "additionalProperties": False}


def _all(properties: dict[str, Schema], text: str = "", **more: bool) -> Schema:
    """Return an object of which every property is always there."""
    return _object(properties, required=tuple(properties), text=text, **more)


def _text(description: str = "", **more: Any) -> Schema:  # noqa: ANN401 (JSON Schema keywords)
    return {"type": "string", **({"description": description} if description else {}), **more}


def _number(description: str = "", **more: Any) -> Schema:  # noqa: ANN401 (as above)
    return {"type": "integer", **({"description": description} if description else {}), **more}


def _list(items: Schema, description: str = "", **more: Any) -> Schema:  # noqa: ANN401 (as above)
    return {"type": "array", "items": items, **({"description": description} if description else {}), **more}


def _or_null(schema: Schema) -> Schema:
    kind = schema["type"]
    return {**schema, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def _one(value: str) -> Schema:
    return {"type": "string", "const": value}


def ref(name: str) -> Schema:
    """Return a reference to the schema called `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


MODEL = _text("The model's id, as `GET /v1/models` lists it.", examples=["assisters-chat-v1"])
TIME = _number("Unix time in seconds.")
COST = _text("US dollars with nine decimals, exact.", pattern=r"^-?\d+\.\d{9}$", examples=["0.000003100"])
NANO = _number("The same amount in nano-dollars (10⁻⁹ US dollars).", format="int64")
TOKENS = _number(minimum=0)
UP_TO = 2**31

ERROR = _all(
    {
        "error": _all(
            {
                "message": _text("A sentence for a person."),
                "type": _text("The kind of the error, in OpenAI's words.", examples=["invalid_request_error"]),
                "param": {"type": ["string", "null"], "description": "The parameter at fault, where there is one."},
                "code": {"type": ["string", "null"], "description": "The error's name for programs.",
                         "examples": ["rate_limit_exceeded"]},
            }
        )
    }
)  # fmt: skip

ESTIMATED = {"type": "boolean", "description": "True where the model did not tell, and the counts are ours."}

USAGE = _object(
    {
        "prompt_tokens": TOKENS,
        "completion_tokens": TOKENS,
        "total_tokens": TOKENS,
        "prompt_tokens_details": {"type": ["object", "null"]},
        "completion_tokens_details": {"type": ["object", "null"]},
        "estimated": ESTIMATED,
        "cost": {"type": "number", "description": "What it cost, in US dollars."},
    },
    required=("prompt_tokens", "total_tokens"),
    text="Tokens as they are charged: as the model counted them or, where it did not, as we did.",
)

CHAT_REQUEST = _object(
    {
        "model": MODEL,
        "messages": _list(
            _object(
                {
                    "role": _text("Who speaks: system, developer, user, assistant or tool."),
                    "content": {
                        "description": "Text, or a list of parts (text, images).",
                        "anyOf": [_text(), _list(_object({"type": _text()}, required=("type",))), {"type": "null"}],
                    },
                },
                required=("role",),
            ),
            "The conversation so far, the oldest message first.",
            minItems=1,
        ),
        "stream": _or_null({"type": "boolean", "description": "Send the answer as server-sent events as it is made."}),
        "stream_options": _or_null(
            _object(
                {"include_usage": {"type": "boolean"}},
                text="Only with `stream`. `include_usage` adds a last chunk with the usage.",
            )
        ),
        "max_completion_tokens": _or_null(_number("The most tokens to answer with.", minimum=1, maximum=UP_TO)),
        "max_tokens": _or_null(_number("The same, under its older name.", minimum=1, maximum=UP_TO)),
        "n": _or_null(_number("How many answers to make. Each is charged.", minimum=1, maximum=16)),
        "temperature": _or_null({"type": "number", "description": "How much chance, from 0 to 2."}),
        "top_p": _or_null({"type": "number", "description": "Nucleus sampling, from 0 to 1."}),
        "stop": {"description": "Where to stop: a text, or up to four.", "anyOf": [_text(), _list(_text()), {"type": "null"}]},
        "tools": _or_null(_list(_object({"type": _text()}, required=("type",)), "Functions the model may call.")),
        "tool_choice": {"description": "Which tool to use: `auto`, `none`, `required`, or one of them."},
        "response_format": _or_null(
            _object({"type": _text()}, text='`{"type": "json_object"}` or a `json_schema` for answers in JSON.')
        ),
        "seed": _or_null(_number("Ask for the same answer again, where the model can.")),
        "user": _or_null(_text("Your name for your user. Handed on as it is.")),
    },
    required=("model", "messages"),
    text="Parameters that are not listed here are handed to the model as they are.",
)  # fmt: skip

CHAT_MESSAGE = _object(
    {
        "role": _one("assistant"),
        "content": {"type": ["string", "null"]},
        "refusal": {"type": ["string", "null"]},
        "tool_calls": _or_null(_list({"type": "object"})),
    },
    required=("role", "content"),
)

CHAT_ANSWER = _object(
    {
        "id": _text(),
        "object": _one("chat.completion"),
        "created": TIME,
        "model": MODEL,
        "choices": _list(
            _object(
                {
                    "index": _number(),
                    "message": ref("ChatMessage"),
                    "finish_reason": {
                        "type": ["string", "null"],
                        "description": "`stop`, `length`, `tool_calls` or `content_filter`.",
                    },
                },
                required=("index", "message", "finish_reason"),
            )
        ),
        "usage": ref("Usage"),
    },
    required=("id", "object", "created", "model", "choices"),
)

CHAT_CHUNK = _object(
    {
        "id": _text(),
        "object": _one("chat.completion.chunk"),
        "created": TIME,
        "model": MODEL,
        "choices": _list(
            _object(
                {
                    "index": _number(),
                    "delta": _object({"role": _text(), "content": {"type": ["string", "null"]}}),
                    "finish_reason": {"type": ["string", "null"]},
                },
                required=("index", "delta"),
            )
        ),
        "usage": {"anyOf": [ref("Usage"), {"type": "null"}]},
        "cost": {
            "type": "number",
            "description": "In the last chunk, unless it holds the usage: the cost, in dollars.",
        },
    },
    required=("id", "object", "created", "model", "choices"),
    text="One event of a stream. The last event is `[DONE]`.",
)

RESPONSE_REQUEST = _object(
    {
        "model": MODEL,
        "input": {
            "description": "A text, or the items of the conversation so far, the oldest first.",
            "anyOf": [_text(minLength=1), _list({"type": "object"}, minItems=1)],
        },
        "instructions": _or_null(_text("What the model is to heed.")),
        "max_output_tokens": _or_null(_number("The most tokens to answer with.", minimum=1, maximum=UP_TO)),
        "stream": _or_null({"type": "boolean", "description": "Send typed events as the answer is made."}),
        "tools": _or_null(
            _list(
                _object({"type": _text(enum=["function", "custom"])}, required=("type",)),
                "Functions that the model may ask you to run.",
            )
        ),
        "text": _or_null(_object({"format": {"type": "object"}}, text="How the text is to be: plain, or JSON.")),
    },
    required=("model", "input"),
    text="Parameters that are not listed here are handed to the model as they are; `store` is always false.",
)

RESPONSE = _object(
    {
        "id": _text(),
        "object": _one("response"),
        "created_at": {"type": "number", "description": "Unix time in seconds."},
        "status": _text("`completed`, or `incomplete` when `max_output_tokens` were not enough."),
        "model": MODEL,
        "output": _list(_object({"type": _text()}, required=("type",)), "Messages, and calls of functions."),
        "usage": _object(
            {
                "input_tokens": TOKENS,
                "output_tokens": TOKENS,
                "total_tokens": TOKENS,
                "estimated": ESTIMATED,
                "cost": {"type": "number", "description": "What it cost, in US dollars."},
            }
        ),
    },
    required=("id", "object", "model", "output", "usage"),
)

RESPONSE_EVENT = _object(
    {
        "type": _text(examples=["response.created", "response.output_text.delta", "response.completed"]),
        "sequence_number": _number(),
        "delta": _text("The next piece of text."),
        "response": {"type": "object", "description": "The response; in the last event with its usage and cost."},
    },
    required=("type",),
    text="One event of a stream, whose name is its `type`. The last is `response.completed` or `response.incomplete`.",
)

EMBEDDINGS_REQUEST = _object(
    {
        "model": {**MODEL, "examples": ["assisters-embed-v1"]},
        "input": {
            "description": "A text, a list of texts, or the same as lists of tokens.",
            "anyOf": [
                _text(minLength=1),
                _list(_text(minLength=1), minItems=1, maxItems=2048),
                _list(_number(), minItems=1),
                _list(_list(_number(), minItems=1), minItems=1, maxItems=2048),
            ],
        },
        "encoding_format": _or_null(
            {"type": "string", "description": "`float` (usual) or `base64`.", "enum": ["float", "base64", None]}
        ),
        "dimensions": _or_null(_number("How long each vector is to be.", minimum=1)),
        "user": _or_null(_text("Your name for your user. Handed on as it is.")),
    },
    required=("model", "input"),
)

EMBEDDINGS_ANSWER = _object(
    {
        "object": _one("list"),
        "data": _list(
            _all(
                {
                    "object": _one("embedding"),
                    "index": _number(),
                    "embedding": {
                        "description": "Numbers, or little-endian 32-bit floats in base64.",
                        "anyOf": [_list({"type": "number"}), _text()],
                    },
                }
            )
        ),
        "model": MODEL,
        "usage": ref("Usage"),
    },
    required=("object", "data", "model"),
)

MODERATION_REQUEST = _object(
    {
        "model": {**_or_null(MODEL), "examples": ["assisters-moderation-v1"]},
        "input": {
            "description": "A text, texts, or parts (`text`, `image_url`) that are judged together.",
            "anyOf": [
                _text(minLength=1),
                _list(_text(), minItems=1, maxItems=1_000),
                _list(
                    {
                        "anyOf": [
                            _all({"type": _one("text"), "text": _text()}),
                            _all(
                                {"type": _one("image_url"), "image_url": _object({"url": _text()}, required=("url",))}
                            ),
                        ]
                    },
                    minItems=1,
                    maxItems=1_000,
                ),
            ],
        },
    },
    required=("input",),
)

MODERATION_ANSWER = _object(
    {
        "id": _text(),
        "model": MODEL,
        "results": _list(
            _object(
                {
                    "flagged": {"type": "boolean"},
                    "categories": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "category_scores": {"type": "object", "additionalProperties": {"type": "number"}},
                },
                required=("flagged",),
            )
        ),
        "usage": ref("Usage"),
    },
    required=("model", "results"),
)

RERANK_REQUEST = _object(
    {
        "model": {**MODEL, "examples": ["assisters-rerank-v1"]},
        "query": _text("What the documents should answer.", minLength=1, maxLength=32_000),
        "documents": _list(
            {"anyOf": [_text(), _object({"text": _text()}, required=("text",))]},
            "Texts, or objects that each have a `text`.",
            minItems=1,
            maxItems=1_000,
        ),
        "top_n": _or_null(_number("How many to give back; usually all.", minimum=1, maximum=UP_TO)),
        "return_documents": _or_null({"type": "boolean", "description": "Give the texts back too."}),
    },
    required=("model", "query", "documents"),
)

RERANK_ANSWER = _object(
    {
        "id": _text(),
        "model": MODEL,
        "results": _list(
            _object(
                {
                    "index": _number("Which of the documents that were sent."),
                    "relevance_score": {"type": "number"},
                    "document": _object({"text": _text()}),
                },
                required=("index", "relevance_score"),
            )
        ),
        "usage": ref("Usage"),
    },
    required=("model", "results"),
)

SPEECH_REQUEST = _object(
    {
        "model": {**MODEL, "examples": ["assisters-tts-v1"]},
        "input": _text("What to say.", minLength=1, maxLength=4_096),
        "voice": {
            "description": "Who says it, by name; or an object, as the model has it.",
            "anyOf": [_text(minLength=1, examples=["alloy"]), _object({"id": _text()}, required=("id",))],
        },
        "response_format": {
            "type": ["string", "null"],
            "description": "What kind of sound to answer with; usually `mp3`. The sandbox makes `mp3`, `wav` and `pcm`.",
            "enum": ["mp3", "opus", "aac", "flac", "wav", "pcm", None],
        },
        "instructions": _or_null(_text("How to say it. Handed on as it is.")),
        "speed": _or_null({"type": "number", "description": "How fast. Handed on as it is."}),
    },
    required=("model", "input", "voice"),
)

TRANSCRIPTION_REQUEST = _object(
    {
        "model": {**MODEL, "examples": ["assisters-whisper-v1"]},
        "file": _text("The recording.", contentMediaType="application/octet-stream"),
        "language": _text("What is spoken, as ISO 639-1 has it (`en`)."),
        "prompt": _text("Words that the recording goes on from."),
        "response_format": _text("Usually `json`.", enum=["json", "text", "srt", "verbose_json", "vtt"]),
        "temperature": {"type": "number", "description": "How much chance, from 0 to 1."},
        "timestamp_granularities[]": _list(_text(), "`word`, `segment` or both, with `verbose_json`."),
    },
    required=("model", "file"),
    text="Fields that are not listed here are handed to the model as they are.",
)

TRANSCRIPTION_ANSWER = _object(
    {
        "text": _text(),
        "language": _text(),
        "duration": {"type": ["number", "string"], "description": "How long the recording is, in seconds."},
        "segments": _list({"type": "object"}),
        "words": _list({"type": "object"}),
        "usage": _object(
            {
                "type": _one("duration"),
                "seconds": _number("What was charged for."),
                "estimated": ESTIMATED,
                "cost": {"type": "number"},
            },
            required=("type", "seconds"),
        ),
    },
    required=("text", "usage"),
)

IMAGES_REQUEST = _object(
    {
        "model": {**_or_null(MODEL), "examples": ["assisters-image-v1"]},
        "prompt": _text("What is to be seen.", minLength=1, maxLength=32_000),
        "n": _or_null(_number("How many to make. Each is charged.", minimum=1, maximum=10)),
        "size": {
            "type": ["string", "null"],
            "description": "In points; usually the largest.",
            "enum": ["256x256", "512x512", "1024x1024", "auto", None],
        },
        "quality": {"type": ["string", "null"], "enum": ["standard", "low", "medium", "auto", None]},
        "response_format": {"type": ["string", "null"], "enum": ["url", "b64_json", None]},
    },
    required=("prompt",),
)

IMAGES_ANSWER = _object(
    {
        "created": TIME,
        "data": _list(_object({"url": _text(), "b64_json": _text(), "revised_prompt": _text()})),
        "usage": {"type": "object", "description": "How many were charged (`units`), and their `cost`."},
    },
    required=("created", "data"),
)

MODEL_ANSWER = _object(
    {
        "id": MODEL,
        "object": _one("model"),
        "created": TIME,
        "owned_by": _text(),
        "title": _text("What people call it."),
        "family": _text("Which of the API's addresses it answers at.", examples=["chat", "embeddings"]),
        "context_tokens": _number("The most tokens it takes in."),
        "max_output_tokens": _number("The most tokens it answers with."),
        "dimensions": {"type": ["integer", "null"], "description": "How long its vectors are, for embeddings."},
        "unit": _text("What it is sold by.", examples=["token", "image", "second", "character", "document"]),
        "pricing": {
            "description": "Its price in force, in whole nano-dollars each; null for one that cannot be bought yet.",
            "anyOf": [
                _all(
                    {
                        "version": _number("Which version of its price this is."),
                        "input_token_nano_usd": _number(),
                        "cached_input_token_nano_usd": _number(),
                        "output_token_nano_usd": _number(),
                        "unit_nano_usd": _number("For one of what it is sold by besides tokens."),
                    }
                ),
                {"type": "null"},
            ],
        },
    },
    required=("id", "object", "created", "owned_by"),
)

RATE_LIMIT = _object(
    {
        "object": _one("rate_limit"),
        "limit": _number("Requests per minute."),
        "remaining": _number("Requests that may still come in this minute."),
        "reset": _number("Seconds until the oldest request of the last minute is forgotten."),
        "tokens": _all({"limit": _number("Tokens per minute."), "remaining": _number()}),
    },
    required=("object", "limit", "remaining", "reset", "tokens"),
)

USAGE_PAGE = _all(
    {
        "object": _one("page"),
        "data": _list(
            _all(
                {
                    "object": _one("bucket"),
                    "start_time": TIME,
                    "end_time": TIME,
                    "results": _list(ref("UsageResult"), "One for each group; none where nothing was used."),
                }
            )
        ),
        "has_more": {"type": "boolean"},
        "next_page": {"type": ["string", "null"], "description": "What to send as `page` for the next page."},
    }
)

USAGE_RESULT = _object(
    {
        "object": _one("usage.result"),
        "input_tokens": TOKENS,
        "input_cached_tokens": TOKENS,
        "output_tokens": TOKENS,
        "units": _number("Images, seconds, characters or documents: what the endpoint counts.", minimum=0),
        "num_model_requests": TOKENS,
        "num_errors": TOKENS,
        "cost_nano_usd": NANO,
        "model": {"type": ["string", "null"]},
        "api_key_id": {"type": ["string", "null"]},
        "endpoint": {"type": ["string", "null"]},
    },
    required=("object", "input_tokens", "output_tokens", "num_model_requests", "cost_nano_usd"),
)


def _money(*names: str) -> dict[str, Schema]:
    """Return the two properties of each amount."""
    return {name: schema for one in names for name, schema in ((one, COST), (f"{one}_nano_usd", NANO))}


WALLET_BALANCE = _all(
    {
        "object": _one("wallet.balance"),
        "currency": _one("usd"),
        **_money("balance", "pending", "held", "available"),
    },
    "`balance` is what the books hold; `pending` was used and is not in them yet; `held` is the most that running calls "
    "can cost; `available` is what may be spent now.",
)

WALLET_TRANSACTION = _all(
    {
        "id": _text(pattern="^txn_[0-9a-f]{32}$"),
        "object": _one("wallet.transaction"),
        "kind": _text("Why it moved.", enum=["topup", "bonus", "usage", "refund", "dispute", "adjustment", "carried"]),
        "currency": _one("usd"),
        **_money("amount"),
        "created_at": TIME,
        "model": {"type": ["string", "null"], "description": "Which model was used."},
        "day": {"type": ["string", "null"], "description": "The UTC day on which it was used.", "format": "date"},
    },
    "Above zero came in, below zero went out.",
)

WALLET_TRANSACTIONS = _all(
    {
        "object": _one("list"),
        "data": _list(ref("WalletTransaction")),
        "first_id": {"type": ["string", "null"]},
        "last_id": {"type": ["string", "null"], "description": "What to send as `after` for the next page."},
        "has_more": {"type": "boolean"},
    }
)

TOP_UP_REQUEST = _object(
    {
        "amount": {
            "description": "US dollars, from 10 to less than 500: a whole number, or a text with at most two decimals.",
            "anyOf": [_number(minimum=10, maximum=499), _text(pattern=r"^[0-9]{1,7}(\.[0-9]{1,2})?$")],
        }
    },
    required=("amount",),
)

TOP_UP = _all(
    {
        "object": _one("wallet.top_up"),
        "id": _text(),
        "currency": _one("usd"),
        **_money("amount", "bonus"),
        "checkout_url": _text("Where to pay, in a browser.", format="uri"),
    }
)

HEALTH = _all({"status": _one("ok")})

READINESS = _all(
    {
        "status": {"type": "string", "enum": ["ready", "not ready"]},
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
    }
)


def event(name: str) -> Schema:
    """Return what one server-sent event looks like whose data is JSON of the schema called `name`."""
    data = _text("JSON, or `[DONE]` in the last event.", contentMediaType="application/json", contentSchema=ref(name))
    return _object({"data": data}, required=("data",))


SCHEMAS: dict[str, Schema] = {
    "Error": ERROR,
    "Usage": USAGE,
    "ChatRequest": CHAT_REQUEST,
    "ChatMessage": CHAT_MESSAGE,
    "ChatAnswer": CHAT_ANSWER,
    "ChatChunk": CHAT_CHUNK,
    "ResponseRequest": RESPONSE_REQUEST,
    "Response": RESPONSE,
    "ResponseEvent": RESPONSE_EVENT,
    "EmbeddingsRequest": EMBEDDINGS_REQUEST,
    "EmbeddingsAnswer": EMBEDDINGS_ANSWER,
    "ModerationRequest": MODERATION_REQUEST,
    "ModerationAnswer": MODERATION_ANSWER,
    "RerankRequest": RERANK_REQUEST,
    "RerankAnswer": RERANK_ANSWER,
    "SpeechRequest": SPEECH_REQUEST,
    "TranscriptionRequest": TRANSCRIPTION_REQUEST,
    "TranscriptionAnswer": TRANSCRIPTION_ANSWER,
    "ImagesRequest": IMAGES_REQUEST,
    "ImagesAnswer": IMAGES_ANSWER,
    "Model": MODEL_ANSWER,
    "Models": _all({"object": _one("list"), "data": _list(ref("Model"))}),
    "RateLimit": RATE_LIMIT,
    "UsagePage": USAGE_PAGE,
    "UsageResult": USAGE_RESULT,
    "WalletBalance": WALLET_BALANCE,
    "WalletTransaction": WALLET_TRANSACTION,
    "WalletTransactions": WALLET_TRANSACTIONS,
    "TopUpRequest": TOP_UP_REQUEST,
    "TopUp": TOP_UP,
    "StripeEvent": _object({"id": _text(), "type": _text(), "data": {"type": "object"}}),
    "Received": _all({"received": {"type": "boolean", "const": True}}),
    "LeakedKeys": _list(
        _object({"token": _text(), "type": _text(), "url": _text(), "source": _text()}, required=("token",)),
        maxItems=1_000,
    ),
    "LeakLabels": _list(
        _all(
            {
                "token_hash": _text("SHA-256 of the token, in hex."),
                "token_type": _text(),
                "label": {"type": "string", "enum": ["true_positive", "false_positive"]},
            }
        )
    ),
    "Health": HEALTH,
    "Readiness": READINESS,
}
