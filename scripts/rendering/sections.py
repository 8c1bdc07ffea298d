"""Rendered sections of hand-written pages: the text between <!-- NAME --> and <!-- end of NAME -->."""


def replaced(page: str, name: str, content: str) -> str:
    """The page with `content` as its section `name`; a page without the two markers is unchanged."""
    before, start, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{start}{content}\n{end}{after}" if end else page
