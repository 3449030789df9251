"""What the API takes and gives; OpenAPI is made from this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pipeline.inference.explain import Explanation, Span
    from pipeline.records import Prediction

MAX_MESSAGES = 256
MAX_EXPLAINED = 16
MAX_EXPLAINED_TEXT = 20_000
"""Characters; an explanation scores some hundred variants of a text."""

Score = Annotated[float, Field(ge=0, le=1)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MessageIn(_Shape):
    """A message as it came; quoted mail and signatures may still be in it."""

    text: Annotated[str, Field(min_length=1, description="The body.")]
    subject: Annotated[str, Field(description="The subject line, where there is one.")] = ""
    id: Annotated[
        str, Field(max_length=200, description="Comes back in the answer; else the position.")
    ] = ""


class ExplainedIn(MessageIn):
    """A message that is to be explained."""

    text: Annotated[
        str, Field(min_length=1, max_length=MAX_EXPLAINED_TEXT, description="The body.")
    ]


class PredictIn(_Shape):
    """What `/predict` takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"text": "Could you introduce me to your editor?"}]}]
        }
    )
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES)]
    min_confidence: Annotated[
        Score, Field(description="Below this the primary is 'unsure' and there are no asks.")
    ] = 0.0


class ExplainIn(_Shape):
    """What `/explain` takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"text": "Hello! Could you introduce me to your editor?"}]}]
        }
    )
    messages: Annotated[list[ExplainedIn], Field(min_length=1, max_length=MAX_EXPLAINED)]


class PredictionOut(_Shape):
    """What one message asks for."""

    id: str
    primary: Annotated[str, Field(description="The most probable ask, or 'none' or 'unsure'.")]
    asks: Annotated[list[str], Field(description="Every ask above its threshold.")]
    scores: Annotated[dict[str, Score], Field(description="Label to calibrated probability.")]

    @classmethod
    def of(cls, found: Prediction) -> Self:
        """The shape of a prediction."""
        return cls(id=found.id, primary=found.primary, asks=list(found.asks), scores=found.scores)


class PredictOut(_Shape):
    """What `/predict` gives: one prediction a message, in their order."""

    predictions: list[PredictionOut]


class SpanOut(_Shape):
    """A part of the text, as counted in characters (Unicode code points)."""

    start: int
    end: int
    text: str
    moved: Annotated[float, Field(description="How far the score falls without it.")]

    @classmethod
    def of(cls, span: Span) -> Self:
        """The shape of a span."""
        return cls(start=span.start, end=span.end, text=span.text, moved=span.moved)


class ReasonOut(_Shape):
    """Why one ask was found."""

    label: str
    score: Score
    sentence: SpanOut
    words: list[SpanOut]
    also: Annotated[
        list[SpanOut], Field(description="A second sentence that makes it nearly as much.")
    ]


class ExplanationOut(_Shape):
    """A prediction and its reasons, one an ask."""

    prediction: PredictionOut
    text: Annotated[str, Field(description="What the model read of the message.")]
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, explanation: Explanation) -> Self:
        """The shape of an explanation."""
        reasons = [
            ReasonOut(
                label=reason.label,
                score=reason.score,
                sentence=SpanOut.of(reason.sentence),
                words=[SpanOut.of(word) for word in reason.words],
                also=[SpanOut.of(span) for span in reason.also],
            )
            for reason in explanation.reasons
        ]
        prediction = PredictionOut.of(explanation.prediction)
        return cls(prediction=prediction, text=explanation.text, reasons=reasons)


class ExplainOut(_Shape):
    """What `/explain` gives: one explanation a message, in their order."""

    explanations: list[ExplanationOut]


class Health(_Shape):
    """Whether the server answers, and with what."""

    status: str
    model: str
    version: str
    labels: list[str]
    waiting: Annotated[int, Field(description="Messages that wait for the model now.")]


class Problem(_Shape):
    """Why a request was not answered."""

    detail: str
