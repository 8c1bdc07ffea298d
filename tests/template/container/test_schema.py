"""The real `cog` reads every form of an input, an output and a class; no image is built."""

import json
from pathlib import Path

from tests.template.scripts.contract import forms


def test_cog_still_gives_the_recorded_result_for_each_form(tmp_path: Path) -> None:
    """Over a hundred calls of cog, which take a few hundredths of a second each."""
    forms.write(tmp_path)
    answers = {form: forms.ask_cog(tmp_path, called) for form, called in forms.CLASS_OF.items()}
    assert answers == json.loads(forms.ANSWERS.read_text(encoding="utf-8"))
