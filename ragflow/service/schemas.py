"""What requests must look like, and what answers look like.

Requests are checked against these models. Answers are described by them in ``/openapi.json``; they are not checked
while the service runs (a test does that), because it would cost more than a search.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, StringConstraints

from ragflow.pipeline.hits import SearchMode

MAX_QUERY, MAX_TOP, MAX_CONDITIONS, MAX_VALUES = 2000, 100, 16, 100
SHA256 = r"^[0-9a-f]{64}$"
PAGE_ID = r"^[0-9a-f]{64}-[1-9][0-9]{0,6}$"
VERSION = r"^v[0-9]{6,12}$"
UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
PROOF_ID = r"^v[0-9]{6,12}:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
FIELD = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"

Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY,
        pattern=r"\S",
        description="What to look for, in plain words. Long queries are cut at what the model reads.",
    ),
]
FieldName = Annotated[str, StringConstraints(pattern=FIELD)]
Text = Annotated[StrictStr, Field(max_length=2000)]
Whole = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Box = Annotated[
    list[float], Field(min_length=4, max_length=4, description="left, top, right, bottom: fractions of the page")
]


class Request(BaseModel):
    """Base of requests: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Range(Request):
    """Numbers from ``from`` to ``to``, both included; one of them may be left out."""

    low: float | None = Field(default=None, alias="from", allow_inf_nan=False)
    high: float | None = Field(default=None, alias="to", allow_inf_nan=False)


Value = Text | Whole | StrictBool
AnyOfTexts = Annotated[list[Text], Field(min_length=1, max_length=MAX_VALUES)]
AnyOfNumbers = Annotated[list[Whole], Field(min_length=1, max_length=MAX_VALUES)]
Condition = Text | StrictBool | Whole | AnyOfTexts | AnyOfNumbers | Range


class SearchRequest(Request):
    """A search. ``where`` names fields of a hit's payload: document_key, source, language, engine, page_number, …"""

    query: Query
    top: int = Field(default=10, ge=1, le=MAX_TOP, description="How many hits at most.")
    mode: SearchMode = Field(default=SearchMode.HYBRID, description="Which vectors answer.")
    where: dict[FieldName, Condition] = Field(
        default_factory=dict,
        max_length=MAX_CONDITIONS,
        description="All conditions must hold. A list: any of its values. {from, to}: a range of numbers.",
    )
    min_score: float | None = Field(default=None, allow_inf_nan=False, description="Leave out hits below this score.")
    per_document: int | None = Field(default=None, ge=1, le=100, description="At most so many hits of one document.")
    diversity: float = Field(
        default=0.0, ge=0.0, le=1.0, description="0: the best hits; up to 1: hits unlike each other."
    )
    words: bool = Field(default=False, description="Give the boxes of the words that match, for each hit.")


class DocumentName(BaseModel):
    key: str
    sha256: str = Field(pattern=SHA256)
    title: str


class Links(BaseModel):
    """Addresses below the service's own."""

    page: str
    image: str
    document: str
    file: str
    trace: str
    proof: str


class HitAnswer(BaseModel):
    """One hit. ``boxes``: one per line of the text; ``words``: those of the words that match, if asked for."""

    point_id: str = Field(pattern=UUID)
    score: float
    document: DocumentName
    page_id: str = Field(pattern=PAGE_ID)
    page_number: int = Field(ge=1)
    text: str
    boxes: list[Box]
    words: list[Box]
    confidence: float | None
    engine: str | None
    language: str | None
    collection_version: str
    proof_id: str = Field(pattern=PROOF_ID)
    also_in: list[str] = Field(description="Keys of other documents in which exactly this text stands.")
    similar: list[str] = Field(description="Points that say nearly the same, left out for that.")
    links: Links


class SearchAnswer(BaseModel):
    query: str
    mode: SearchMode
    version: str = Field(pattern=VERSION)
    released_at: str | None
    took_ms: float
    hits: list[HitAnswer]


class PageLineAnswer(BaseModel):
    page_id: str = Field(pattern=PAGE_ID)
    page_number: int = Field(ge=1)
    status: str = Field(pattern="^(indexed|blank|quarantined)$")
    reason: str | None
    engine: str | None
    language: str | None
    confidence: float | None
    words: int


class DocumentAnswer(BaseModel):
    sha256: str = Field(pattern=SHA256)
    version: str
    keys: list[str] = Field(description="All documents with this content.")
    title: str
    batch: str
    bytes: int
    pages: list[PageLineAnswer]
    links: dict[str, str]


class WordAnswer(BaseModel):
    text: str
    box: Box
    confidence: float
    char_start: int
    char_end: int


class PageAnswer(BaseModel):
    page_id: str = Field(pattern=PAGE_ID)
    version: str
    document: DocumentName
    page_number: int = Field(ge=1)
    status: str
    reason: str | None
    detail: str | None
    engine: str | None
    language: str | None
    confidence: float | None
    text: str
    words: list[WordAnswer]
    links: dict[str, str]


class LinkAnswer(BaseModel):
    """One link of the chain: what was recorded, what was recomputed now."""

    name: str
    recorded: str
    found: str
    holds: bool


class TraceAnswer(BaseModel):
    point_id: str = Field(pattern=UUID)
    version: str
    holds: bool
    present: bool = Field(description="Whether the document is still in the archive, unchanged.")
    links: list[LinkAnswer]
    payload: dict[str, Any]
    words: list[dict[str, Any]]
    proof_id: str = Field(pattern=PROOF_ID)


class VerdictAnswer(BaseModel):
    name: str
    outcome: str
    figure: float | None
    threshold: float | None
    message: str


class VerificationAnswer(BaseModel):
    verified_at: str
    version: str
    passed: bool
    deep: bool


class ReleaseAnswer(BaseModel):
    version: str
    number: int | None = Field(description="Of the release record that says most of this.")
    decision: str | None = Field(description="What made it live: promoted, or rolled_back (from another version).")
    decided_at: str | None
    replaced: str | None = Field(description="The version that was live before it was promoted.")
    points: int
    documents: int
    ledger: dict[str, Any] | None
    verdicts: list[VerdictAnswer]
    canaries: list[VerdictAnswer] | None
    configuration: dict[str, Any]
    switched_off: list[str]
    record_sha256: str | None
    verification: VerificationAnswer | None = Field(description="The last one that is known; of whichever version.")


class PartAnswer(BaseModel):
    ok: bool
    figure: float | str | None
    limit: float | str | None
    remedy: str


class HealthAnswer(BaseModel):
    status: str = Field(pattern="^(ok|degraded)$")
    version: str | None
    parts: dict[str, PartAnswer]


class AliveAnswer(BaseModel):
    status: str


class ProblemAnswer(BaseModel):
    """An error, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    remedy: str
    request_id: str
    errors: list[dict[str, Any]] | None = None
