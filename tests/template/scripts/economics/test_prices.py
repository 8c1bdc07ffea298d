"""The price list: every price has source, date and confidence; mistakes are named with file and key."""

import datetime
import json
from pathlib import Path

import pytest
import yaml

from scripts import prices
from scripts.hardware import price_list
from scripts.hardware import replicate as hardware
from scripts.hardware.price_list import PriceError
from scripts.hardware.replicate import dollars

LIST = price_list.shipped()


def changed(tmp_path: Path, *keys: str, to: object = None) -> Path:
    """The price list with one key changed, or without it."""
    content = yaml.safe_load(price_list.PATH.read_text(encoding="utf-8"))
    section = content
    for key in keys[:-1]:
        section = section[key]
    if to is None:
        del section[keys[-1]]
    else:
        section[keys[-1]] = to
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_every_price_has_a_source_a_date_and_a_confidence() -> None:
    known = price_list.hardware_of(LIST)
    assert len({one.name for one in known}) == len(known) > 20
    assert all(one.source and one.date and one.confidence for one in known)
    assert {one.name.split("/")[0] for one in known} == {"replicate", "spaces", "endpoints", "own"}


def test_a_price_by_the_hour_is_a_3600th_a_second() -> None:
    # $0.40 an hour: 0.40 / 3600 = 0.000111...; Replicate's T4 is $0.000225 a second, 0.81 an hour.
    assert price_list.find(LIST, "spaces/t4-small").dollars_a_second * 3600 == pytest.approx(0.40)
    assert price_list.find(LIST, "replicate/gpu-t4").dollars_a_second * 3600 == pytest.approx(0.81)


@pytest.mark.parametrize(
    ("keys", "to", "message"),
    [
        (("providers", "replicate", "date"), None, "providers.replicate.date: "),
        (("providers", "replicate", "source"), "", "providers.replicate.source: "),
        (
            ("providers", "spaces", "hardware", "t4-small", "dollars"),
            -1,
            "providers.spaces.hardware.t4-small.dollars: ",
        ),
        (("providers", "spaces", "dat"), "2026-01-01", r"unknown key providers.spaces.dat \(did you mean date\?\)"),
        (
            ("providers", "own", "hardware", "g5.xlarge", "gpu"),
            "A10",
            r"no GPU 'A10' under gpus \(did you mean A10G\?\)",
        ),
    ],
)
def test_a_mistake_in_the_price_table_is_named_with_file_and_key(
    keys: tuple[str, ...], to: object, message: str, tmp_path: Path
) -> None:
    path = changed(tmp_path, *keys, to=to)
    with pytest.raises(PriceError, match=message) as caught:
        price_list.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_unknown_hardware_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(
        PriceError, match=r"--hardware: no hardware 'replicate/gpu-t5'.*did you mean replicate/gpu-t4\?"
    ):
        price_list.find(LIST, "replicate/gpu-t5")
    with pytest.raises(PriceError, match=r"--only: no provider 'replicat'.*did you mean replicate\?"):
        price_list.providers(LIST, "own,replicat")


def test_the_command_shows_ages_and_warns_of_old_prices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    today = datetime.date.today()
    fresh, old = today - datetime.timedelta(days=90), today - datetime.timedelta(days=91)
    path = changed(tmp_path, "providers", "replicate", "date", to=fresh.isoformat())
    content = yaml.safe_load(path.read_text())
    content["providers"] = {"replicate": content["providers"]["replicate"]}
    content["providers"]["replicate"]["hardware"] = {
        "cpu": {"dollars": 0.0001, "cores": 4, "memory_gb": 8},
        "gpu-t4": {"dollars": 0.000225, "gpu": "T4", "date": old.isoformat()},
    }
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setattr(price_list, "shipped", lambda: price_list.read(path))
    assert prices.main(["--json"]) == 0
    output, errors = capsys.readouterr()
    assert {one["hardware"]: one["age_days"] for one in json.loads(output)} == {
        "replicate/cpu": 90,
        "replicate/gpu-t4": 91,
    }
    assert errors.startswith(
        "1 of 2 prices were last seen over 90 days ago: read them again at https://replicate.com/pricing"
    )
    assert prices.main([]) == 0
    assert "91 (old)" in capsys.readouterr().out


def test_the_cost_of_a_prediction_on_replicate_uses_the_same_price_list() -> None:
    # 10 seconds on a T4: 10 * 0.000225 = 0.00225; on two L40S: 10 * 2 * 0.000975 = 0.0195.
    assert dollars(10, "gpu-t4") == pytest.approx(0.00225)
    assert dollars(10, "gpu-l40s-2x") == pytest.approx(0.0195)
    assert dollars(10, "abacus") is None
    assert dollars(10, "") is None
    assert hardware.that_fit(20)[0] == "gpu-a40-small"
