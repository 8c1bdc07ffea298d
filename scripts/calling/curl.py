"""A prediction as a curl command that people can paste."""

import shlex


def command(address: str, body: str, *headers: str, options: str = "-sS") -> str:
    """A command that sends `body`, JSON or @FILE, to the Cog server at `address`.

    `headers`: more of them, as "NAME: VALUE".
    """
    named = " ".join(f"-H {shlex.quote(header)}" for header in ("Content-Type: application/json", *headers))
    return f"curl {options} {address}/predictions {named} --data-binary {shlex.quote(body)}"
