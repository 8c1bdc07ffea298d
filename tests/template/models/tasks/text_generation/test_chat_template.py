"""Chat templates of real forms: roles, variables, refusals, and the functions that the Hub's templates use."""

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
import transformers

from models.errors import InputError
from tests.template.models.tasks.text_generation.texts import byte_text, real_text

USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ '<turn>' + message['role'] + '\n' + message['content'] | trim + '<end>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
SILENT = "{% for m in messages if m.role != 'system' %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
THINKING = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if enable_thinking is defined and enable_thinking is false %}<no thinking>{% endif %}"
)
TOOLS = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}"
    "{% if m.role == 'tool' %}result {{ m.name }}: {{ m.content }}\n"
    "{% elif m.tool_calls %}calls {{ m.tool_calls[0].name }}\n"
    "{% else %}{{ m.role }}: {{ m.content }}\n{% endif %}{% endfor %}"
)


def prompt(folder: Path, template: Any, messages: list[dict[str, Any]], **options: Any) -> str:
    """The text that the template makes for the model."""
    system_prompt, variables = options.pop("system_prompt", None), options.pop("variables", {})
    text = byte_text(folder, template, **options)
    return bytes(text.chat_ids(messages, system_prompt, variables, "messages")).decode()


@pytest.mark.parametrize("template", [GEMMA, SILENT], ids=["refuses", "leaves out"])
def test_a_system_prompt_begins_the_first_user_message_if_the_template_has_no_system_role(
    tmp_path: Path, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = prompt(tmp_path, template, [{"role": "user", "content": "Be brief.\n\nHi"}, ANSWER, USER])
    assert prompt(tmp_path, template, [USER, ANSWER, USER], system_prompt="Be brief.") == expected
    assert prompt(tmp_path, template, [SYSTEM, USER, ANSWER, USER]) == expected
    byte_text(tmp_path, template).describe()
    assert "the chat template has no system role" in capsys.readouterr().out


def test_without_a_system_prompt_the_template_s_own_is_used(tmp_path: Path) -> None:
    template = "{% if messages[0].role != 'system' %}I am the model.\n{% endif %}" + THINKING
    assert prompt(tmp_path, template, [USER]) == "I am the model.\nuser: Hi\n"
    assert prompt(tmp_path, template, [USER], system_prompt="Be brief.") == "system: Be brief.\nuser: Hi\n"


def test_a_template_that_raises_refuses_the_request_with_the_input_s_name_and_its_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^messages: the model's chat template says: Conversation roles must"):
        prompt(tmp_path, GEMMA, [USER, USER])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for m in messages %}{{ m.content }}", "the model's chat template (default) cannot be read, line 1:"),
        ("{{ messages[0].content + 5 }}", "messages: the model's chat template (default) fails on it: "),
        ("{{ messages.append(1) }}", "messages: the model's chat template (default) fails on it: "),
        ("{{ ''.__class__.__mro__ }}{{ undefined.attribute }}", "messages: the model's chat template (default) fails"),
    ],
)
def test_a_template_that_fails_is_reported_in_one_line(tmp_path: Path, template: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(reason)}") as refused:
        prompt(tmp_path, template, [USER])
    assert "raw=true" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_variables_are_taken_from_the_input_or_the_manifest(tmp_path: Path) -> None:
    plain = "user: Hi\n"
    off = {"enable_thinking": False}
    assert prompt(tmp_path, THINKING, [USER]) == plain
    assert prompt(tmp_path, THINKING, [USER], variables=off) == plain + "<no thinking>"
    assert prompt(tmp_path, THINKING, [USER], template_variables=off) == plain + "<no thinking>"
    assert prompt(tmp_path, THINKING, [USER], template_variables=off, variables={"enable_thinking": True}) == plain


def test_a_variable_that_the_template_does_not_have_is_refused(tmp_path: Path) -> None:
    reason = r"^template_variables: the model's chat template has no variable 'thinking' \(it has enable_thinking\)$"
    with pytest.raises(InputError, match=reason):
        prompt(tmp_path, THINKING, [USER], variables={"thinking": False})
    with pytest.raises(InputError, match=r"^template_variables: .* no variable 'messages'"):
        prompt(tmp_path, THINKING, [USER], variables={"messages": []})


def test_tools_and_their_answers_reach_a_template_that_has_them(tmp_path: Path) -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [{"name": "time", "arguments": {}}]}
    messages = [USER, called, {"role": "tool", "name": "time", "content": "12:00 <b>"}]
    assert prompt(tmp_path, TOOLS, messages, variables={"tools": [{"name": "time", "of": "<é>"}]}) == (
        '[{"name": "time", "of": "<é>"}]\nuser: Hi\ncalls time\nresult time: 12:00 <b>\n'
    )


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([USER, {"role": "robot", "content": "x"}], "message 2 has the role 'robot', which the model's chat template"),
        ([SYSTEM, {"role": "robot", "content": "x"}], "message 2 has the role 'robot'"),
        ([{**USER, "name": "Ada"}], "message 1 has 'name', which the model's chat template does not use"),
    ],
)
@pytest.mark.parametrize("system_prompt", [None, "Be brief."])
def test_a_key_that_the_template_would_ignore_is_refused(
    tmp_path: Path, messages: list[dict[str, Any]], reason: str, system_prompt: str | None
) -> None:
    asked = None if messages[0] == SYSTEM else system_prompt
    with pytest.raises(InputError, match=f"^{re.escape(reason)}"):
        prompt(tmp_path, THINKING, messages, system_prompt=asked)


def test_among_several_templates_the_one_for_tools_or_the_default_one_is_used(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "{{ tools | length }} tools"}]
    assert prompt(tmp_path, named, [USER]) == "plain"
    assert prompt(tmp_path, named, [USER], variables={"tools": [{}]}) == "1 tools"
    assert prompt(tmp_path, [{"name": "rag", "template": "alone"}], [USER]) == "alone"
    named[0]["name"] = "rag"
    with pytest.raises(InputError, match=r"^this model has the chat templates rag, tool_use and none is the default"):
        prompt(tmp_path, named, [USER])


def test_functions_that_the_hubs_templates_use_work(tmp_path: Path) -> None:
    template = (
        "{%- for m in messages %}\n    {%- if loop.first %}{% continue %}{% endif %}\n"
        "{% generation %}{{ m.content }}{% endgeneration %}\n{%- break %}{% endfor %} {{ strftime_now('%Y') }}"
    )
    rendered = prompt(tmp_path, template, [USER, {"role": "user", "content": "two"}, USER])
    assert rendered.split() == ["two", str(datetime.date.today().year)]


@pytest.mark.parametrize("template", [GEMMA, SILENT, THINKING, TOOLS], ids=["gemma", "silent", "thinking", "tools"])
def test_a_conversation_is_written_as_transformers_writes_it(tmp_path: Path, template: str) -> None:
    text = real_text(tmp_path, "byte-fallback", tokenizer_config={"chat_template": template})
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = [USER, ANSWER, {"role": "user", "content": "  <b> & 'é'  "}]
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert text.chat_ids(messages, None, {}, "messages") == expected
