"""Cog's real server of a planted predictor, and the fuzz on it."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scripts.contract import schema
from scripts.fuzzing import cases as fuzz_cases
from scripts.fuzzing import probe
from scripts.serving import local_server
from tests.template.server.planted import LIMITS, PREDICTOR, SLOTS, Fuzz

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serves a predictor with the given lines until the test ends; returns its address and its schema."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    with ExitStack() as stack:

        def serve(
            bug: str, returns: str = "str", slots: int = SLOTS, has_schema: bool = True, source: str = PREDICTOR
        ) -> tuple[str, dict[str, Any]]:
            (tmp_path / "predict.py").write_text(source.replace("{bug}", bug).replace("{returns}", returns))
            document = schema.generate("Planted", tmp_path / "predict.py")
            if has_schema:
                (tmp_path / ".cog").mkdir()
                (tmp_path / ".cog" / "openapi_schema.json").write_text(json.dumps(document))
            port = local_server.free_port()
            variables = {"COG_PREDICT_TYPE_STUB": "predict.py:Planted", "COG_MAX_CONCURRENCY": str(slots)}
            process = local_server.start_in(tmp_path, port, variables, log=None)
            stack.callback(local_server.stop, process)
            address = f"http://{local_server.HOST}:{port}"
            local_server.wait_until_ready(address, process)
            return address, document

        yield serve


@pytest.fixture
def fuzzed(planted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fuzz:
    """Fuzzes a predictor with the given lines; files for its curl commands are in this test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fuzzing(bug: str, timeout: float = 10, examples: Any = ({"text": "hi"},), **served: Any) -> probe.Report:
        address, document = planted(bug, **served)
        cases = fuzz_cases.cases(document, examples, mixed=10, limits=LIMITS)
        occupy = fuzz_cases.longest(document, {}, LIMITS)
        return probe.run(address, cases, document, SLOTS, occupy, timeout=timeout, patience=0.1, settle=2)

    return fuzzing
