"""The text side of a model, from its files and its manifest: how a request becomes tokens, and where an answer ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.tasks.text_generation import model_files, sampling_defaults
from models.tasks.text_generation.engines.interface import Message
from models.tasks.text_generation.manifest import Manifest
from models.tasks.text_generation.tokenizer import Tokenizer


class ModelText:
    """The text side of the model whose files are in `folder`.

    `end_ids`: the tokens that end an answer; `sampling`: the defaults for what a request leaves out.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        from models.tasks.text_generation.chat_template import ChatTemplate

        files = model_files.read(folder)
        self._manifest = manifest
        self._generation_config = files.generation_config
        self.tokenizer = Tokenizer(files)
        self._template = ChatTemplate(files.templates, files.special_tokens, manifest.template_variables)
        self._has_template = bool(files.templates)
        self.end_ids = frozenset(self._end_ids(files))
        self.sampling = sampling_defaults.resolve(
            manifest.sampling.model_dump(exclude_none=True), files.generation_config
        )

    def describe(self) -> None:
        """Print to the setup log what was found, and which settings are ignored."""
        ends = ", ".join(self.tokenizer.text_of(token_id) for token_id in sorted(self.end_ids))
        print(f"text: an answer ends at {ends or 'max_tokens, as the model names no end token'}")
        print("text: by default " + ", ".join(f"{name} {value:g}" for name, value in self.sampling.items()))
        if self._has_template and self._manifest.system_prompt is not None:
            print(f"text: model.yaml's system prompt is {self._manifest.system_prompt!r}, not the template's own")
        if self._has_template and not self._template.has_system_role:
            print("text: the chat template has no system role: a system prompt begins the first user message")
        if not self._has_template:
            print("text: the model has no chat template: it takes only prompt with raw=true")
        if ignored := sampling_defaults.not_honoured(self._generation_config):
            print(f"text: generation_config.json also has {', '.join(ignored)}, which is not honoured")

    def raw_ids(self, prompt: str) -> list[int]:
        """The token ids of a prompt that the model continues as plain text."""
        return self.tokenizer.encode_beginning(prompt)

    def chat_ids(
        self,
        messages: list[Message],
        system_prompt: str | None,
        variables: Mapping[str, Any],
        input_name: str,
    ) -> list[int]:
        """The token ids of a conversation, up to where the model answers. Only the template can add a begin token.

        Raises:
            InputError: the model cannot chat, or its template refuses; names `input_name` or the key.
        """
        if self._has_template and not self.end_ids:
            raise InputError(
                "this model names no token that ends an answer, which would go on to max_tokens: "
                "send prompt with raw=true"
            )
        sent = len(messages)
        system = self._manifest.system_prompt if system_prompt is None else system_prompt
        if messages[0]["role"] != "system" and system is not None:
            messages = [{"role": "system", "content": system}, *messages]
        if messages[0]["role"] == "system" and not self._template.has_system_role:
            messages = self._template.folded(messages)
        return self.tokenizer.encode(self._template.text(messages, variables, input_name, sent))

    def _end_ids(self, files: model_files.ModelFiles) -> set[int]:
        """The end tokens that the files name, and the special token that the chat template writes after an answer."""
        ends = model_files.end_ids_of(files)
        named = self.tokenizer.id_of(files.special_tokens.get("eos_token", ""))
        after = self.tokenizer.encode(self._template.after_answer())[:1]
        return (
            ends | {token_id for token_id in (named,) if token_id is not None} | self.tokenizer.special_ids & {*after}
        )
