"""The rendered parts of a page that people write: what stands between <!-- NAME --> and <!-- end of NAME -->."""


def replaced(page: str, name: str, content: str) -> str:
    """The page with `content` as its part of that name; a page without the two markers stays as it is."""
    before, start, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{start}{content}\n{end}{after}" if end else page
