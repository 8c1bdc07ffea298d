"""A LoRA adapter: pinned with its base model, merged into it, with the same outputs as in peft, or refused.

It takes about 40 s of a processor: peft is in the converter's environment alone, whose imports take several seconds,
and two engines are asked. tests/template/models/weights/test_weights_adapter.py has what is refused before a download.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import manifest
from models.manifest import PROJECT
from models.weights import model_facts
from scripts.conversion import environment
from tests import tiny_models
from tests.template import toy

pytestmark = pytest.mark.slow  # the converter's own environment

SLUG = "adapted"
PROMPTS = [f"The capital of France is {number}" for number in range(60)]
"""The one is asked whose next tokens are clearest, as a processor may compute in bfloat16."""
TOKENS = 12
MAKE = """
import json, shutil, sys
from pathlib import Path
import peft, torch, transformers
from models.errors import EngineError
from models.runtimes import checkpoint
from scripts.conversion import merging

def refusals(place, faults):
    errors = {}
    for name, keys in faults.items():
        source, merged = place / name, place / f"{name}-merged"
        shutil.copytree(place / "base", source)
        shutil.copytree(place / "lora", source / "adapter")
        config = source / "adapter" / "adapter_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | keys))
        merged.mkdir()
        try:
            merging.merge("decoder", source, merged, "float32")
        except EngineError as error:
            errors[name] = str(error)
    return errors

place, prompts, tokens = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(1)
model = checkpoint.load(place / "base", dtype=torch.float32)
config = peft.LoraConfig(
    task_type="CAUSAL_LM", r=4, lora_alpha=16, rank_pattern={"q_proj": 8}, init_lora_weights=False,
    target_modules=["q_proj", "v_proj", "up_proj"],
)
adapted = peft.get_peft_model(model, config)
adapted.save_pretrained(place / "lora")
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(place / "base" / "tokenizer.json"))
options = {"do_sample": False, "max_new_tokens": tokens, "eos_token_id": None, "pad_token_id": 0}
options |= {"output_logits": True, "return_dict_in_generate": True}

def answer(prompt):
    "The text, and how far the likeliest token is before the next one, at the step where they are closest."
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    written = adapted.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
    first, second = torch.cat(written.logits).topk(2).values.unbind(-1)
    return tokenizer.decode(written.sequences[0, ids.shape[1]:]), (first - second).min().item()

prompt = max(prompts, key=lambda one: answer(one)[1])
written = {"prompt": prompt, "adapted": answer(prompt)[0]}
with adapted.disable_adapter():
    written["base"] = answer(prompt)[0]
print(json.dumps(written | {"refusals": refusals(place, json.loads(sys.argv[4]))}))
"""
FAULTS: dict[str, dict[str, Any]] = {
    "names": {"target_modules": ["k_proj"]},
    "rank": {"rank_pattern": {"v_proj": 2}},
    "task": {"task_type": "SEQ_CLS"},
    "newer": {"use_newer": True},
}
"""Keys of the adapter's configuration with which it does not fit."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with base/, lora/, and answers.json: the outputs of both, and the errors of adapters that do not fit."""
    folder = tmp_path_factory.mktemp("adapters")
    tiny_models.safetensors(folder / "base", "llama")
    answers = in_environment(MAKE, folder, json.dumps(PROMPTS), TOKENS, json.dumps(FAULTS))
    (folder / "answers.json").write_text(json.dumps(answers))
    return folder


def in_environment(code: str, *arguments: Any) -> Any:
    """The last line that a script prints in the converter's environment."""
    environment.make_environment()
    command = [str(environment.python()), "-c", code, *map(str, arguments)]
    variables = os.environ | {"PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def described(place: Path) -> dict[str, Any]:
    """The manifest of the model with its adapter."""
    manifest_keys = yaml.safe_load(manifest.path_of("smollm2-135m-instruct").read_text(encoding="utf-8"))
    unsaid = ("system_prompt", "evaluations", "card", "parameters")
    engines = [
        {"engine": "openvino", "device": "cpu", "dtype": "float16", "cache_gb": 0.1},
        {"engine": "transformers", "device": "cpu", "dtype": "float32", "cache_gb": 0.1},
    ]
    return {key: value for key, value in manifest_keys.items() if key not in unsaid} | {
        "title": "Adapted",
        "base": manifest_keys["base"] | {"relation": "adapter"},
        "weights": {"source": f"file:{place / 'base'}", "adapter": {"source": f"file:{place / 'lora'}"}},
        "engines": engines,
    }


@pytest.fixture(scope="module")
def project(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the model in its catalog, its weights pinned."""
    copy = tmp_path_factory.mktemp("project")
    toy.copy_project(copy)
    (copy / ".venv-optimum").symlink_to(environment.FOLDER.resolve())
    (copy / "models" / "catalog" / SLUG).mkdir()
    (copy / "models" / "catalog" / SLUG / "model.yaml").write_text(yaml.safe_dump(described(place)))
    pinned = run(copy, "weights_lock")
    assert f"the adapter says that it was trained on {place / 'base'}" not in pinned.stderr
    return copy


def run(project: Path, command: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [".venv/bin/python", "-m", f"scripts.{command}", *arguments],
        cwd=project,
        env=os.environ | {"MODEL": SLUG, "ENGINE": "transformers"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("engine", ["openvino", "transformers"])
def test_the_served_output_equals_that_of_peft_before_merging(project: Path, place: Path, engine: str) -> None:
    answers = json.loads((place / "answers.json").read_text())
    inputs = f"-i prompt='{answers['prompt']}' -i raw=true -i temperature=0 -i max_tokens={TOKENS} -i top_k=0"
    served = run(project, "call", "local", "--inputs", inputs, ENGINE=engine).stdout
    assert served.strip() == answers["adapted"].strip() != answers["base"].strip()


def test_both_sources_are_pinned_and_verified(project: Path) -> None:
    locked = json.loads((project / "models" / "catalog" / SLUG / "weights.lock").read_text())
    assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors", "model.safetensors"} <= set(
        locked["files"]
    )
    assert locked["facts"]["adapter"] | {"base": ""} == {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "rank": 4,
        "base": "",
    }
    run(project, "weights")
    assert "every byte right" in run(project, "weights_verify").stdout
    shown = json.loads(run(project, "weights_info", "--json").stdout)
    assert shown["adapter"].endswith("lora (LoRA of rank 4)")
    base = project / "weights" / SLUG / "source" / "model.safetensors"
    assert shown["parameters"] == model_facts.read([base.name], base.parent).parameters


@pytest.mark.parametrize("fault", FAULTS)
def test_an_adapter_that_does_not_fit_is_refused_by_name(place: Path, fault: str) -> None:
    refused = json.loads((place / "answers.json").read_text())["refusals"][fault]
    assert {
        "names": "does not fit the model",
        "rank": "size mismatch",
        "task": "is an adapter for SEQ_CLS, and the model is one for CAUSAL_LM",
        "newer": "says use_newer, which peft",
    }[fault] in refused
    assert "another adapter" in refused
