"""OpenVINO's own format: an .xml with the graph, and a .bin of the same name with the values of its constants.

https://docs.openvino.ai/2026/documentation/openvino-ir-format.html
"""

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from models.errors import WeightsError

MODEL, VALUES = FILES = ("openvino_model.xml", "openvino_model.bin")
_REMEDY = "take the weights from another source"


def is_pair(name: str, names: object) -> bool:
    """Whether a file is one of the two, and the other is among `names` (a collection of paths)."""
    path = PurePosixPath(name)
    return path.name in FILES and all(str(path.with_name(file)) in names for file in FILES)  # type: ignore[operator]


def check(path: Path) -> None:
    """Check that the constants of an .xml fill the .bin beside it, so that it is no pickle and no other model's file.

    Raises:
        WeightsError: they do not, or the .xml is malformed.
    """
    spans = sorted({(begin, begin + size) for _, _, begin, size in constants(path)})
    end = 0
    for begin, until in spans:
        if begin > end:
            break
        end = max(end, until)
    values = path.with_suffix(".bin")
    if not spans or end != max(until for _, until in spans) or end != values.stat().st_size:
        raise WeightsError(f"{values} is not what {path.name} describes: its constants do not fill it; {_REMEDY}")


def constants(path: Path) -> list[tuple[str, tuple[int, ...], int, int]]:
    """The number format, shape, offset and size in bytes of each constant of an .xml.

    Raises:
        WeightsError: it is malformed.
    """
    try:
        found = [layer.find("data") for layer in ElementTree.parse(path).iter("layer") if layer.get("type") == "Const"]
        return [
            (
                data.attrib["element_type"],
                tuple(int(size) for size in data.get("shape", "").split(",") if size.strip()),
                int(data.attrib["offset"]),
                int(data.attrib["size"]),
            )
            for data in found
            if data is not None
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} is no graph of OpenVINO ({error}): {_REMEDY}") from error
