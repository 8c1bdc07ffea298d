"""The local Hub: checks the front matter of a card, like POST /api/validate-yaml.

The keys and their values are those of https://github.com/huggingface/hub-docs/blob/main/modelcard.md and
https://huggingface.co/docs/hub/spaces-config-reference, the licences those of
https://huggingface.co/docs/hub/repositories-licenses.
"""

import re
from typing import Any

import yaml

_LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research
intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql
ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1
llama3.2 llama3.3 llama4 grok2-community gemma unknown other
"""
LICENSES = frozenset(_LICENSES.split())
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "docker", "static")
RELATIONS = ("finetune", "adapter", "merge", "quantized")
_FRONT = re.compile(r"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)


def metadata_of(content: str) -> dict[str, Any]:
    """What the front matter of a README.md says; nothing where there is none."""
    found = _FRONT.match(content)
    content = yaml.safe_load(found[1]) if found else None
    return content if isinstance(content, dict) else {}


def problems(content: str, kind: str) -> tuple[list[str], list[str]]:
    """The errors and warnings for a README.md in a repository of a `kind`, "model" or "space"."""
    found = _FRONT.match(content)
    if not found or not found[1].strip():
        missing = kind == "space"
        message = "empty or missing yaml metadata in repo card"
        return ([message], []) if missing else ([], [message])
    try:
        metadata = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [f"YAML parse error: {' '.join(str(error).split())}"], []
    if not isinstance(metadata, dict):
        return ['"value" must be of type object'], []
    return (_of_space(metadata) if kind == "space" else _of_model(metadata)), []


def _of_model(metadata: dict[str, Any]) -> list[str]:
    errors = _license(metadata)
    for key in ("tags", "language", "datasets", "metrics", "base_model"):
        values = metadata.get(key, [])
        if not all(isinstance(value, str) for value in (values if isinstance(values, list) else [values])):
            errors.append(f'"{key}" must be a string or an array of strings')
    languages = metadata.get("language", [])
    for language in languages if isinstance(languages, list) else [languages]:
        if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,4})?|code|multilingual", str(language)):
            errors.append(f'"language" must hold ISO 639 codes, code or multilingual, not {language}')
    if not isinstance(metadata.get("pipeline_tag", ""), str):
        errors.append('"pipeline_tag" must be a string')
    if metadata.get("base_model_relation", RELATIONS[0]) not in RELATIONS:
        errors.append(f'"base_model_relation" must be one of [{", ".join(RELATIONS)}]')
    return errors + _results(metadata.get("model-index", []))


def _license(metadata: dict[str, Any]) -> list[str]:
    named = metadata.get("license", [])
    licenses = named if isinstance(named, list) else [named]
    errors = ['"license" must be one of the known identifiers' for name in licenses if name not in LICENSES]
    if any(not isinstance(metadata.get(key, ""), str) for key in ("license_name", "license_link")):
        errors.append('"license_name" and "license_link" must be strings')
    return errors


def _results(index: Any) -> list[str]:
    """https://huggingface.co/docs/hub/model-cards#evaluation-results: a value for each metric of each result."""
    try:
        for model in index:
            assert isinstance(model["name"], str)
            for result in model["results"]:
                assert result["task"]["type"]
                assert result["dataset"]["type"]
                assert result["dataset"]["name"]
                assert all("value" in metric and metric["type"] for metric in result["metrics"])
    except (AssertionError, KeyError, TypeError):
        return ['"model-index" must hold a name, and results with task, dataset and metrics']
    return []


def _of_space(metadata: dict[str, Any]) -> list[str]:
    errors = _license(metadata)
    if metadata.get("sdk") not in SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(SDKS)}]')
    for key in ("colorFrom", "colorTo"):
        if metadata.get(key, COLORS[0]) not in COLORS:
            errors.append(f'"{key}" must be one of [{", ".join(COLORS)}]')
    if len(metadata.get("short_description", "")) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    return errors
