"""The three kinds of classifiers give the results of transformers' pipelines, and refuse what they cannot score."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from models.encoders.transformers import TransformersEncoder
from models.engine import EngineChoice
from models.errors import EngineError, InputError
from models.tasks.text_classification import Request, TextClassification
from models.tasks.text_classification.manifest import Expectation, Manifest
from tests import tiny_encoders

CHOICE = EngineChoice(engine="transformers", device="cpu", dtype="float32")
OWN = {0: "sea", 1: "land", 2: "sky"}
INFERENCE = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
TEXTS = ["the sea is salty", "a cat sleeps", "海は塩辛い"]
DEFAULTS: dict[str, Any] = {
    "text": None,
    "texts": None,
    "labels": None,
    "hypothesis_template": None,
    "multi_label": None,
    "top_k": None,
    "truncate": True,
}


def adapter(folder: Path, **changes: Any) -> TextClassification:
    model = manifest.load("all-minilm-l6-v2-zero-shot").model_copy(update=changes)
    assert isinstance(model, Manifest)
    return TextClassification(TransformersEncoder(CHOICE, folder), model)


def classify(model: TextClassification, metrics: dict[str, Any] | None = None, **inputs: Any) -> list[dict[str, float]]:
    """For each text, its scores by label, the highest first."""
    record = ({} if metrics is None else metrics).__setitem__
    found = asyncio.run(model.classify(Request(**DEFAULTS | inputs), record))
    return [{score.label: score.score for score in of_text} for of_text in found]


def pipeline(task: str, folder: Path) -> Any:
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", unk_token="<unk>"
    )
    return transformers.pipeline(task, model=model, tokenizer=tokenizer, device="cpu")


@pytest.mark.parametrize("multi_label", [False, True])
def test_own_labels_score_as_in_transformers(multi_label: bool, tmp_path: Path) -> None:
    tiny_encoders.xlm_roberta(tmp_path, id2label=OWN)
    reference = pipeline("text-classification", tmp_path)(
        TEXTS, top_k=None, function_to_apply="sigmoid" if multi_label else "softmax"
    )
    found = classify(adapter(tmp_path), texts=TEXTS, multi_label=multi_label)
    for scores, expected in zip(found, reference, strict=True):
        assert list(scores) == [one["label"] for one in expected]
        assert scores == pytest.approx({one["label"]: one["score"] for one in expected}, abs=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_an_inference_model_scores_labels_like_transformers_zero_shot_pipeline(
    multi_label: bool, tmp_path: Path
) -> None:
    numbers = {label: number for number, label in INFERENCE.items()}
    tiny_encoders.xlm_roberta(tmp_path, id2label=INFERENCE, label2id=numbers)
    labels, template = ["sea", "cat", "川"], "it is {}"
    reference = pipeline("zero-shot-classification", tmp_path)(
        TEXTS, labels, hypothesis_template=template, multi_label=multi_label
    )
    found = classify(
        adapter(tmp_path), texts=TEXTS, labels=labels, hypothesis_template=template, multi_label=multi_label
    )
    for scores, expected in zip(found, reference, strict=True):
        assert scores == pytest.approx(dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-5)


def test_a_model_trained_for_several_labels_scores_each_independently(tmp_path: Path) -> None:
    tiny_encoders.bert(tmp_path, id2label=OWN, problem_type="multi_label_classification")
    by_itself = classify(adapter(tmp_path), text=TEXTS[0])
    assert by_itself == classify(adapter(tmp_path), text=TEXTS[0], multi_label=True)
    assert sum(by_itself[0].values()) != pytest.approx(1, abs=1e-3)


def test_similarity_is_highest_for_the_label_whose_hypothesis_is_the_text(tmp_path: Path) -> None:
    model, metrics = adapter(tiny_encoders.xlm_roberta(tmp_path), hypothesis_template="{}"), dict[str, Any]()
    found = classify(model, metrics, texts=TEXTS, labels=TEXTS[::-1], top_k=1)
    assert [list(scores) for scores in found] == [[text] for text in TEXTS]
    assert (metrics["text_count"], metrics["label_count"], metrics["truncated_count"]) == (3, 3, 0)
    assert classify(model, texts=TEXTS, labels=TEXTS[::-1], top_k=1) == found  # from the cached vectors


def test_the_manifest_s_labels_are_the_default(tmp_path: Path) -> None:
    model = adapter(tiny_encoders.bert(tmp_path), labels=["sea", "cat"])
    assert set(classify(model, text="a cat")[0]) == {"sea", "cat"}
    assert set(classify(model, text="a cat", labels=["salt"])[0]) == {"salt"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"labels": None}, "labels is missing: send the labels"),
        ({"labels": []}, "labels is missing"),
        ({"labels": ["a", "b", " a"]}, "label 3 is 'a' again"),
        ({"labels": ["a", " "]}, "label 2 is empty"),
        (
            {"labels": [str(number) for number in range(10_000)]},
            "labels has 10000 labels, and a call takes at most 1000",
        ),
        ({"labels": list("abc"), "text": None, "texts": ["a"] * 9000}, "9000 texts and 3 labels are 27000 scores"),
        ({"labels": ["a"], "hypothesis_template": "about"}, r"hypothesis_template has no \{\} where the label goes"),
        ({"labels": ["a"], "text": "salt " * 99, "truncate": False}, "text 1 of text has 398 tokens, .* reads 64"),
        ({"labels": ["a"], "text": " "}, "text is empty"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(inputs: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        classify(adapter(tiny_encoders.bert(tmp_path)), **{"text": "a cat", **inputs})


def test_a_model_with_its_own_labels_refuses_others(tmp_path: Path) -> None:
    model = adapter(tiny_encoders.bert(tmp_path, id2label=OWN))
    with pytest.raises(InputError, match="the model has sea, land, sky; leave out labels"):
        classify(model, text="a cat", labels=["cat"])
    with pytest.raises(InputError, match="reads no hypothesis_template"):
        classify(model, text="a cat", hypothesis_template="{}")


def test_the_text_that_is_too_long_in_a_pair_is_named(tmp_path: Path) -> None:
    model = adapter(tiny_encoders.bert(tmp_path, id2label=INFERENCE))
    with pytest.raises(InputError, match=r"text 2 of texts has \d+ tokens, and the model reads 64"):
        classify(model, texts=["a cat", "salt " * 99], labels=["sea", "sky"], truncate=False)
    metrics = dict[str, Any]()
    classify(model, metrics, texts=["a cat", "salt " * 99], labels=["sea", "sky"])
    assert metrics["truncated_count"] == 1


def test_a_classifier_without_label_names_is_refused(tmp_path: Path) -> None:
    tiny_encoders.bert(tmp_path, id2label=OWN)
    config = (tmp_path / "config.json").read_text().replace("id2label", "removed")
    encoder = TransformersEncoder(CHOICE, tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(EngineError, match="has no id2label"):
        TextClassification(encoder, manifest.load("all-minilm-l6-v2-zero-shot"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expected", "broken"),
    [
        (Expectation(best=["sea", "cat"], at_least=0.6, above=["sea"]), []),
        (Expectation(best=["sea"]), ["has the best labels sea, cat"]),
        (Expectation(at_least=0.8), ["has cat with 0.700, less than 0.8"]),
        (Expectation(above=["cat"]), ["has above one half: sea"]),
    ],
)
def test_an_expectation_names_each_failure(expected: Expectation, broken: list[str]) -> None:
    output = [[{"label": "sea", "score": 0.9}, {"label": "cat", "score": 0.1}], [{"label": "cat", "score": 0.7}]]
    assert expected.failures(output, {}) == broken
    assert expected.failures([], {}) == ["has no scores"]
