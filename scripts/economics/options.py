"""Options that several of these commands take."""

from typing import Annotated

import typer

_MOST = 1e12  # keeps out infinity, which cannot be computed with

Load = Annotated[float, typer.Option(min=1, max=_MOST, help="predictions a month")]
Latency = Annotated[float | None, typer.Option(min=0, max=_MOST, help="the longest that a prediction may take (s)")]
Size = Annotated[float | None, typer.Option(min=0, max=_MOST, help="of one prediction")]
Only = Annotated[str, typer.Option(help="providers of the price list, separated by commas: replicate,own")]
Currency = Annotated[str, typer.Option(help="the currency in which money is shown, such as EUR")]
Rate = Annotated[float | None, typer.Option(help="units of that currency for one US$")]
RateSource = Annotated[str, typer.Option(help="who published the rate, and when")]
Locale = Annotated[str, typer.Option(help="how numbers are written, such as de_DE")]


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
