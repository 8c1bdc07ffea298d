"""Options that several of these commands take."""

from typing import Annotated

import typer

_MOST = 1e12  # keeps infinity out, with which nothing can be reckoned

Load = Annotated[float, typer.Option(min=1, max=_MOST, help="predictions a month")]
Latency = Annotated[float | None, typer.Option(min=0, max=_MOST, help="seconds that a prediction may take at most")]
Size = Annotated[float | None, typer.Option(min=0, max=_MOST, help="of one prediction")]
Only = Annotated[str, typer.Option(help="providers of the price list, by commas: replicate,own")]
Currency = Annotated[str, typer.Option(help="in which money is shown, like EUR")]
Rate = Annotated[float | None, typer.Option(help="units of that currency for one US$")]
RateSource = Annotated[str, typer.Option(help="who says so, and when")]
Locale = Annotated[str, typer.Option(help="how numbers are written, like de_DE")]


def sizes_of(
    input_tokens: float | None, output_tokens: float | None, images: float | None, audio_seconds: float | None
) -> dict[str, float]:
    """The sizes of a prediction that were given."""
    given = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "images": images,
        "audio_seconds": audio_seconds,
    }
    return {name: size for name, size in given.items() if size is not None}
