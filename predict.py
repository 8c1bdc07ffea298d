"""The seam to Cog, and the only file that imports it: one short class per task, with typed and described inputs.

A class is the public contract of its task: schemas/ holds it, `make check` compares it, and no model changes it.
Cog reads this file without running it, so bounds, defaults and descriptions are literals, each string in one piece.
"""

import warnings

from cog import AsyncConcatenateIterator, BaseModel, BasePredictor, File, Input, concurrent, current_scope, streaming

from models import cancellation, cog_runtime, inputs
from models.tasks import text_classification, text_embedding, text_generation

# Cog has newer names for these (README.md, "Cog's names, old and new") and would warn at every start.
warnings.filterwarnings("ignore", r".*(predict\(\)|BasePredictor) is deprecated", DeprecationWarning)


class TextGeneration(BasePredictor):
    """Continues a prompt or a conversation, and streams the text while it is generated."""

    def setup(self) -> None:
        """Load the weights once, onto CUDA where there is a GPU."""
        self.model = text_generation.load()
        cog_runtime.complete(self.model.engine.announce)

    def healthcheck(self) -> bool:
        """Turns the server UNHEALTHY when the engine has failed for good."""
        return self.model.is_healthy()

    # It returns a synchronous generator, the only form that Cog streams from many slots at once. That form loses the
    # cancel signal; models/cancellation.py explains why and restores it.
    @streaming
    @concurrent(max=16)
    @inputs.whole_numbers
    async def predict(
        self,
        prompt: str | None = Input(
            description="What to say to the model: a question, an instruction, a text. Or send `messages` instead.",
            default=None,
            min_length=1,
        ),
        messages: list[dict] | None = Input(
            description='A chat instead of `prompt`: [{"role": "user", "content": "Hi"}]; or system, assistant, tool.',
            default=None,
        ),
        system_prompt: str | None = Input(
            description="How the model should behave, like: Answer in one sentence. By default the model's own.",
            default=None,
        ),
        max_tokens: int = Input(
            description="The most tokens to generate; a token is about three quarters of an English word.",
            default=512,
            ge=1,
            le=131072,
        ),
        temperature: float | None = Input(
            description="How varied the text is; 0 takes the most likely token. By default the model's own, or 0.7.",
            default=None,
            ge=0.0,
            le=5.0,
        ),
        top_p: float | None = Input(
            description="Sample from the top tokens with this total probability. By default the model's own, or 0.95.",
            default=None,
            ge=0.01,
            le=1.0,
        ),
        top_k: int | None = Input(
            description="Sample from this many top tokens; 0 means all of them. By default the model's own, or 50.",
            default=None,
            ge=0,
            le=1000,
        ),
        repetition_penalty: float | None = Input(
            description="Above 1, tokens already in the text become less likely. By default the model's own, or 1.",
            default=None,
            ge=0.1,
            le=10.0,
        ),
        stop: list[str] | None = Input(
            description="End the text before the first of these strings; they are never part of the output.",
            default=None,
        ),
        seed: int | None = Input(
            description="Repeats a sampled text if nothing else runs meanwhile; a prompt's first answer may differ.",
            default=None,
            ge=0,
            le=4294967295,
        ),
        raw: bool = Input(
            description="Continue `prompt` as plain text, without the model's chat template.",
            default=False,
        ),
        template_variables: dict | None = Input(
            description="Values for variables of the chat template, such as enable_thinking or tools.",
            default=None,
        ),
    ) -> AsyncConcatenateIterator[str]:
        """Generate text."""
        request = text_generation.Request(
            prompt=prompt,
            messages=messages,
            system_prompt=system_prompt,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            repetition_penalty=repetition_penalty,
            stop=stop,
            seed=seed,
            raw=raw,
            template_variables=template_variables,
        )
        return self.model.generate(request, cancellation.current(), current_scope().record_metric)


class Embeddings(BaseModel):
    """`embeddings`: one vector per text, in the order of the texts; or `file`: a .npy of float32[texts, dimensions]."""

    embeddings: list[list[float]] | None = None
    file: File | None = None


class TextEmbedding(BasePredictor):
    """Turns texts into vectors; texts with similar meanings get vectors that are close to each other."""

    def setup(self) -> None:
        """Load the weights once, onto CUDA where there is a GPU."""
        self.model = text_embedding.load()
        cog_runtime.complete()

    def healthcheck(self) -> bool:
        """Turns the server UNHEALTHY when the model fails again and again."""
        return self.model.is_healthy()

    @concurrent(max=16)
    @inputs.whole_numbers
    async def predict(
        self,
        text: str | None = Input(
            description="The text to embed. Or send `texts` instead.",
            default=None,
            min_length=1,
        ),
        texts: list[str] | None = Input(
            description="Several texts instead of `text`, at most 20000. Their vectors are in the same order.",
            default=None,
        ),
        input_type: str = Input(
            description="Whether the texts are search queries (query) or the texts that are searched (passage).",
            default="passage",
            choices=["passage", "query"],
        ),
        normalize: bool = Input(
            description="Give vectors of length 1, whose dot product is their cosine similarity.",
            default=True,
        ),
        dimensions: int | None = Input(
            description="Keep only the first so many numbers of each vector; for models trained for shorter vectors.",
            default=None,
            ge=1,
            le=65536,
        ),
        truncate: bool = Input(
            description="Cut a text that is longer than the model reads; false refuses it.",
            default=True,
        ),
        output_format: str = Input(
            description="json: numbers in `embeddings`; npy: a NumPy file in `file`, better for thousands of texts.",
            default="json",
            choices=["json", "npy"],
        ),
    ) -> Embeddings:
        """Embed texts."""
        request = text_embedding.Request(
            text=text,
            texts=texts,
            input_type=input_type,
            normalize=normalize,
            dimensions=dimensions,
            truncate=truncate,
            output_format=output_format,
        )
        embedded = await self.model.embed(request, current_scope().record_metric)
        return Embeddings(embeddings=embedded.embeddings, file=embedded.file)


class LabelScore(BaseModel):
    """A label and its score, from 0 to 1."""

    label: str
    score: float


class TextClassification(BasePredictor):
    """Scores labels for texts: the model's own labels, or those of the caller."""

    def setup(self) -> None:
        """Load the weights once, onto CUDA where there is a GPU."""
        self.model = text_classification.load()
        cog_runtime.complete()

    def healthcheck(self) -> bool:
        """Turns the server UNHEALTHY when the model fails again and again."""
        return self.model.is_healthy()

    @concurrent(max=16)
    @inputs.whole_numbers
    async def predict(
        self,
        text: str | None = Input(
            description="The text to classify. Or send `texts` instead.",
            default=None,
            min_length=1,
        ),
        texts: list[str] | None = Input(
            description="Several texts instead of `text`. Their scores are in the same order.",
            default=None,
        ),
        labels: list[str] | None = Input(
            description="The labels to choose from, at most 1000; leave out for a model with labels of its own.",
            default=None,
        ),
        hypothesis_template: str | None = Input(
            description="A sentence with {} where the label goes, like: This is about {}. By default the model's own.",
            default=None,
        ),
        multi_label: bool | None = Input(
            description="Score each label independently, when several may fit; false: one fits. By default as trained.",
            default=None,
        ),
        top_k: int | None = Input(
            description="Return only this many labels per text, those with the highest scores.",
            default=None,
            ge=1,
        ),
        truncate: bool = Input(
            description="Cut a text that is longer than the model reads; false refuses it.",
            default=True,
        ),
    ) -> list[list[LabelScore]]:
        """Classify texts."""
        request = text_classification.Request(
            text=text,
            texts=texts,
            labels=labels,
            hypothesis_template=hypothesis_template,
            multi_label=multi_label,
            top_k=top_k,
            truncate=truncate,
        )
        scores = await self.model.classify(request, current_scope().record_metric)
        return [[LabelScore(label=one.label, score=one.score) for one in per_text] for per_text in scores]
