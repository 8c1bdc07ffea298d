"""The results for the Hub, from a receipt."""

import pytest
from huggingface_hub import parse_eval_result_entries

from scripts.evaluation import receipt

FIGURE = {"title": "ROUGE-L", "value": 1.0, "lines": 4}


@pytest.mark.parametrize(
    ("bounds", "notes"),
    [
        ({"low": 0.25, "high": 1.0}, "ROUGE-L of 4 lines, 95% interval 0.25 to 1; make eval"),
        ({"low": None, "high": None}, "ROUGE-L of 4 lines; make eval"),
    ],
)
def test_the_notes_have_the_interval_if_there_is_one(bounds: dict[str, float | None], notes: str) -> None:
    data = {"benchmark": {"id": "acme/letters", "task_id": "vowels", "revision": ""}}
    made = {"date": "2026-11-27", "command": "make eval", "confidence": 0.95, "data": data}
    (entry,) = parse_eval_result_entries(receipt.hub_entries(made | {"metrics": [FIGURE | bounds]}))
    assert (entry.dataset_id, entry.value, entry.notes) == ("acme/letters", 1.0, notes)
