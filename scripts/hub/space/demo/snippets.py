"""Code for the current inputs in Python, JavaScript and curl: the same call of the same model."""

import json
import mimetypes
import pprint
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import replicate
from .facts import Facts

_TOKEN = "the token of https://replicate.com/account/api-tokens is in REPLICATE_API_TOKEN"
_PYTHON_FILE = """\
def file(path):
    content = base64.b64encode(open(path, "rb").read()).decode()
    return f"data:{mimetypes.guess_type(path)[0]};base64,{content}"


"""
_JAVASCRIPT_FILE = """\
import { readFileSync } from "node:fs";

const file = (path, type) => `data:${type};base64,${readFileSync(path).toString("base64")}`;

"""


def write(facts: Facts, address: str, inputs: Mapping[str, Any]) -> list[str]:
    """Python, JavaScript and curl code that calls the model with `inputs`; `address`: of Cog or Replicate."""
    call = _Call(facts, address, inputs)
    if facts.what == "own" or facts.what.startswith("http"):
        return [call.python_for_cog(), call.javascript_for_cog(), call.curl_for_cog()]
    return [call.python_for_replicate(), call.javascript_for_replicate(), call.curl_for_replicate()]


class _File:
    """A file whose content is sent; each language reads it with its own expression."""

    def __init__(self, path: str) -> None:
        self.name = Path(path).name
        self.media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"

    def __repr__(self) -> str:
        return f"file({self.name!r})"


class _Call:
    """One call, in every language."""

    def __init__(self, facts: Facts, address: str, inputs: Mapping[str, Any]) -> None:
        takes_files = {field.name for field in facts.fields if "file" in (field.kind, field.items)}
        self._files: list[_File] = []
        self._inputs = {
            name: self._with_files(value) if name in takes_files else value for name, value in inputs.items()
        }
        self._what, self._address, self._streams = facts.what, address, facts.streams
        self._is_text = facts.display == "text"
        self._remark = _TOKEN
        if facts.what == "own":
            image = f"{facts.server.get('MODEL')}:cpu"
            self._remark = f"first start the image of make image: docker run --publish 5000:5000 {image}"
        elif facts.what.startswith("http"):
            self._remark = ""

    def _with_files(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._with_files(path) for path in value]
        if "://" in value or value.startswith("data:"):
            return value
        self._files.append(_File(value))
        return self._files[-1]

    def python_for_cog(self) -> str:
        return f"""\
{self._python("requests")}answer = requests.post("{self._address}/predictions", json={{"input": inputs}}, timeout=600)
answer.raise_for_status()
prediction = answer.json()
print(prediction.get("error") or {self._python_output('prediction["output"]')})
"""

    def python_for_replicate(self) -> str:
        start = self._python("replicate")
        if not self._what.startswith("deployment:"):
            run = f'output = replicate.run("{self._what}", input=inputs)'
            return f"{start}{run}\nprint({self._python_output('output')})\n"
        return f"""\
{start}deployment = replicate.deployments.get("{self._what.partition(":")[2]}")
prediction = deployment.predictions.create(input=inputs)
prediction.wait()
print(prediction.error or {self._python_output("prediction.output")})
"""

    def _python(self, package: str) -> str:
        """The code before the call: the imports, a function that reads files if there are any, the inputs."""
        remark = f"# {self._remark}\n" if self._remark else ""
        modules = "import base64\nimport mimetypes\n\n" if self._files else ""
        reader = f"\n{_PYTHON_FILE}" if self._files else ""
        given = pprint.pformat(self._inputs, sort_dicts=False, width=88)
        return f"{remark}{modules}import {package}\n{reader}\ninputs = {given}\n"

    def _python_output(self, output: str) -> str:
        return f'"".join({output})' if self._is_text else output

    def javascript_for_cog(self) -> str:
        return f"""\
{self._javascript("")}const answer = await fetch("{self._address}/predictions", {{
  method: "POST",
  headers: {{ "Content-Type": "application/json" }},
  body: JSON.stringify({{ input }}),
}});
if (!answer.ok) throw new Error(await answer.text());
const prediction = await answer.json();
console.log(prediction.error ?? {self._javascript_output("prediction.output")});
"""

    def javascript_for_replicate(self) -> str:
        start = self._javascript('import Replicate from "replicate";\n\nconst replicate = new Replicate();\n')
        if not self._what.startswith("deployment:"):
            run = f'const output = await replicate.run("{self._what}", {{ input }});'
            return f"{start}{run}\nconsole.log({self._javascript_output('output')});\n"
        owner, _, name = self._what.partition(":")[2].partition("/")
        return f"""\
{start}const created = await replicate.deployments.predictions.create("{owner}", "{name}", {{ input }});
const prediction = await replicate.wait(created);
console.log(prediction.error ?? {self._javascript_output("prediction.output")});
"""

    def _javascript(self, package: str) -> str:
        remark = f"// {self._remark}\n" if self._remark else ""
        given = _json_with(self._inputs, lambda file: f"file({json.dumps(file.name)}, {json.dumps(file.media_type)})")
        return f"{remark}{_JAVASCRIPT_FILE if self._files else ''}{package}const input = {given};\n"

    def _javascript_output(self, output: str) -> str:
        return f'[{output}].flat().join("")' if self._is_text else output

    def curl_for_cog(self) -> str:
        stream = ["Accept: text/event-stream"] if self._streams else []
        return self._curl("/predictions", stream, {})

    def curl_for_replicate(self) -> str:
        path, body = replicate.route(self._what)
        return self._curl(path, ["Authorization: Bearer $REPLICATE_API_TOKEN", "Prefer: wait"], body)

    def _curl(self, path: str, headers: list[str], body: Mapping[str, Any]) -> str:
        """The inputs come from a here-document: apostrophes need no escaping there, and a file may be large."""
        remark = f"# {self._remark}\n" if self._remark else ""
        options = "".join(f'  -H "{header}" \\\n' for header in ["Content-Type: application/json", *headers])
        escaped = _shell_escaped if self._files else str
        text = _json_with({**body, "input": self._inputs}, _shell_file, escaped)
        end = "JSON" if self._files else "'JSON'"
        return f"{remark}curl -sSN {self._address}{path} \\\n{options}  -d @- <<{end}\n{text}\nJSON\n"


def _json_with(given: Any, expression: Callable[[_File], str], escaped: Callable[[str], str] = str) -> str:
    """JSON with an expression of the language for each file; `escaped` escapes the rest for the language."""
    files: list[_File] = []

    def mark(value: Any) -> str:
        files.append(value)
        return f"\x00{len(files) - 1}\x00"

    text = escaped(json.dumps(given, indent=2, ensure_ascii=False, default=mark))
    for number, file in enumerate(files):
        text = text.replace(escaped(json.dumps(f"\x00{number}\x00")), expression(file))
    return text


def _shell_file(file: _File) -> str:
    quoted = "'" + file.name.replace("'", "'\\''") + "'"
    return f"\"data:{file.media_type};base64,$(base64 < {quoted} | tr -d '\\n')\""


def _shell_escaped(text: str) -> str:
    """Escaped so that a here-document without quotes does not change it."""
    return text.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")
