"""A preview of the model card: one HTML file that opens offline and includes the charts."""

import base64
import html
import re
from pathlib import Path
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: light-dark(#1f5fbf, #7fb2ff); }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { line-height: 1.2; } h2 { border-bottom: 1px solid var(--line); margin-top: 2.4rem; padding-bottom: .3rem; }
a { color: var(--link); } img { max-width: 100%; background: white; border-radius: 6px; }
.tags span { display: inline-block; font-size: .8rem; border: 1px solid var(--line); border-radius: 1rem;
  padding: .05rem .6rem; margin: 0 .3rem .3rem 0; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; }
code { font: .87em/1.5 ui-monospace, monospace; } p code, li code { background: var(--soft); padding: .1em .3em; }
.table { overflow-x: auto; } table { border-collapse: collapse; }
td, th { border: 1px solid var(--line); padding: .3rem .7rem; text-align: left; vertical-align: top; }
thead:has(th:empty:first-child + th:empty:last-child) { display: none; }
"""


def page(card: str, charts: Path) -> str:
    """The card as HTML: its metadata as labels, then its text; `charts`: the folder of its pictures."""
    from huggingface_hub import ModelCard
    from markdown_it import MarkdownIt

    read = ModelCard(card)
    data: dict[str, Any] = read.data.__dict__
    labels = [data.get("pipeline_tag"), data.get("library_name"), data.get("license"), *(data.get("tags") or [])]
    spans = "".join(f"<span>{html.escape(str(label))}</span>" for label in dict.fromkeys(labels) if label)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(read.text)
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    body = re.sub(r'src="([^":]+)"', lambda found: f'src="{_inline(charts / Path(found[1]).name)}"', body)
    title = re.search(r"^# (.+)$", read.text, re.MULTILINE)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title[1] if title else "Model card")}</title>
<style>{_STYLE}</style>
</head>
<body>
<p class="tags">{spans}</p>
{body}
</body>
</html>
"""


def _inline(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
