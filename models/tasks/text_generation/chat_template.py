"""Renders a model's chat templates: Jinja in a sandbox, with the functions that templates on the Hub may use.

https://huggingface.co/docs/transformers/chat_templating_writing
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.errors import InputError
from models.tasks.text_generation.engines.interface import Message

COMMON_ROLES = ("system", "user", "assistant")
_OTHER_ROLES = {"tool", "developer", "function", "ipython"}  # accepted if the template writes any role that it gets
_GIVEN = ("messages", "add_generation_prompt")
_MARK = "mark7f3a"  # a word that no template contains


class ChatTemplate:
    """Turns conversations into text.

    `templates`: by name; `special_tokens`: `bos_token` and others, by name; `defaults`: values for the templates'
    variables, which a prediction may change.
    """

    def __init__(
        self, templates: Mapping[str, str], special_tokens: Mapping[str, str], defaults: Mapping[str, Any]
    ) -> None:
        self._sources, self._special_tokens, self._defaults = dict(templates), special_tokens, defaults
        self._compiled = cache(partial(_compiled, _environment()))
        self.has_system_role = self._writes([{"role": "system", "content": _MARK}, _user("Hi")])

    def text(self, messages: Sequence[Message], variables: Mapping[str, Any], input_name: str, sent: int) -> str:
        """The conversation as text, up to where the assistant answers. `sent`: how many messages the caller sent.

        Raises:
            InputError: the template refuses it, or has no such variable or role; names `input_name` or the key.
        """
        values = {**self._defaults, **variables}
        name, source = self._chosen(values)
        try:
            self._check_variables(source, variables)
            for index in range(len(messages)):
                self._check_message(source, values, messages, index, f"message {index + 1 + sent - len(messages)}")
            return self._render(source, messages, values)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"the model's chat template ({name}) cannot be read, line {error.lineno}: {error.message}; "
                "send prompt with raw=true"
            ) from error
        except _Refused as error:
            raise InputError(f"{input_name}: the model's chat template says: {error}") from error
        except InputError:
            raise
        except Exception as error:  # a template can fail like any program
            raise InputError(
                f"{input_name}: the model's chat template ({name}) fails on it: {error}; template_variables gives a "
                "template's variables their values, and prompt with raw=true does without it"
            ) from error

    def folded(self, messages: Sequence[Message]) -> list[Message]:
        """A conversation whose system message is moved into the first user message, before its text."""
        system, *rest = messages
        first = next((number for number, message in enumerate(rest) if message["role"] == "user"), None)
        if first is None:
            return list(messages)
        content = "\n\n".join(text for text in (system["content"], rest[first]["content"]) if text)
        return [*rest[:first], {**rest[first], "content": content}, *rest[first + 1 :]]

    def after_answer(self) -> str:
        """What the template writes after an answer, such as the token that ends a turn; empty if the template fails."""
        try:
            _, source = self._chosen(self._defaults)
            messages = [_user("Hi"), {"role": "assistant", "content": _MARK}]
            text = self._render(source, messages, self._defaults, add_generation_prompt=False)
        except Exception:  # a prediction will report the error
            return ""
        return text.rpartition(_MARK)[2] if _MARK in text else ""

    def _chosen(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """The name and source of the template to use: with several, `tool_use` if tools are given, else `default`."""
        if not self._sources:
            raise InputError("this model has no chat template: send prompt with raw=true to continue it as it is")
        if values.get("tools") and "tool_use" in self._sources:
            name = "tool_use"
        elif len(self._sources) == 1:
            name = next(iter(self._sources))
        else:
            name = "default"
        if name not in self._sources:
            raise InputError(
                f"this model has the chat templates {', '.join(sorted(self._sources))} and none is the default: "
                "send prompt with raw=true"
            )
        return name, self._sources[name]

    def _check_variables(self, source: str, variables: Mapping[str, Any]) -> None:
        known = self._compiled(source).variables - {*_GIVEN, *self._special_tokens}
        for name in variables:
            if name not in known:
                raise InputError(
                    f"template_variables: the model's chat template has no variable {name!r} "
                    f"(it has {', '.join(sorted(known)) or 'none'})"
                )

    def _check_message(
        self, source: str, values: Mapping[str, Any], messages: Sequence[Message], index: int, name: str
    ) -> None:
        """Refuse a key or a role that the template would ignore, or would write without knowing it."""
        message = messages[index]
        words, role = self._compiled(source).words, message["role"]
        if unused := sorted(message.keys() - {"role", "content"} - words):
            raise InputError(f"{name} has {unused[0]!r}, which the model's chat template does not use")
        if role in COMMON_ROLES:
            return
        marked = [*messages[:index], {**message, "content": _MARK}, *messages[index + 1 :]]
        if role not in words | _OTHER_ROLES or _MARK not in self._render(source, marked, values):
            raise InputError(f"{name} has the role {role!r}, which the model's chat template does not have")

    def _writes(self, messages: Sequence[Message]) -> bool:
        try:
            return _MARK in self._render(self._chosen(self._defaults)[1], messages, self._defaults)
        except Exception:  # a template without the role can fail in any way
            return False

    def _render(
        self,
        source: str,
        messages: Sequence[Message],
        variables: Mapping[str, Any],
        add_generation_prompt: bool = True,
    ) -> str:
        values = {"tools": None, "documents": None, **self._special_tokens, **variables}
        values |= {"messages": list(messages), "add_generation_prompt": add_generation_prompt}
        return self._compiled(source).template.render(values)


class _Compiled(NamedTuple):
    """A compiled template. Compiling takes milliseconds and is done once.

    `variables`: the names that it looks up; `words`: its attributes and the strings that it compares or writes.
    """

    template: jinja2.Template
    variables: set[str]
    words: set[str]


def _compiled(environment: jinja2.Environment, source: str) -> _Compiled:
    parsed = environment.parse(source)
    constants = {node.value for node in parsed.find_all(nodes.Const) if isinstance(node.value, str)}
    attributes = {node.attr for node in parsed.find_all(nodes.Getattr)}
    variables = meta.find_undeclared_variables(parsed) - environment.globals.keys()
    return _Compiled(environment.from_string(source), variables, constants | attributes)


class _Refused(jinja2.TemplateError):
    """A template called raise_exception."""


class _Generation(Extension):
    """`{% generation %}` marks the text that training learns; here its content is written unchanged."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda layout: datetime.datetime.now().strftime(layout)
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON; Jinja's own filter escapes <, >, & and ' for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise _Refused(message)


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
