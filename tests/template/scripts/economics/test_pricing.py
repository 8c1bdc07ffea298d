"""What to charge, by hand, to the cent; and money as people read it."""

import json

import pytest

from scripts import price as command
from scripts.economics import pricing
from scripts.economics.money import Money, MoneyError, money_in, rounded
from scripts.economics.pricing import PricingError


@pytest.mark.parametrize(
    ("margin", "costs", "units", "share", "price"),
    [
        (0.5, 262.80, 100_000, 1.0, "0.005256"),  # 262.80 / 100,000 = 0.002628; half of the price: 0.005256
        (0.0, 500.0, 1000, 1.0, "0.500000"),  # 500 / 1,000
        (0.2, 300.0, 100, 0.75, "5.000000"),  # you get 75 %: 300 / (100 * 0.75 * 0.8) = 300 / 60
        (0.9, 9.0, 3, 1.0, "30.000000"),  # 9 / (3 * 0.1)
    ],
)
def test_the_price_follows_from_a_margin(margin: float, costs: float, units: float, share: float, price: str) -> None:
    found = pricing.price_for(margin, costs, units, share)
    assert str(rounded(found, 6)) == price
    left = pricing.left(found, share, units, costs)
    assert left == pytest.approx(margin * found * share * units)


def test_the_margin_follows_from_a_price() -> None:
    # 100,000 at $0.005, of which 80 % is ours, less 262.80: 400 - 262.80 = 137.20.
    assert str(rounded(pricing.left(0.005, 0.8, 100_000, 262.80))) == "137.20"


def test_the_break_even_load_is_found() -> None:
    # 262.80 a month at $0.005: 52,560 predictions. At 80 % of it: 262.80 / 0.004 = 65,700.
    assert pricing.break_even(0.005, 1.0, lambda units: 262.80) == 52_560
    assert pricing.break_even(0.005, 0.8, lambda units: 262.80) == 65_700
    assert pricing.break_even(0.001, 1.0, lambda units: units * 0.002) is None
    # $9 a subscriber, 97 % ours, $1 each: 8.73 - 1 = 7.73 a head; 500 / 7.73 = 64.68.
    found = pricing.break_even_volume(9, 0.97, 1, 500)
    assert found is not None
    assert str(rounded(found)) == "64.68"
    assert pricing.break_even_volume(1, 0.5, 0.6, 0) is None


@pytest.mark.parametrize(("margin", "share"), [(1.0, 1), (-0.1, 1), (0.5, 0), (0.5, 1.2)])
def test_a_margin_or_share_without_a_price_is_refused(margin: float, share: float) -> None:
    with pytest.raises(PricingError, match="write 0"):
        pricing.price_for(margin, 1, 1, share)


def test_the_command_prices_a_hardware_at_a_load(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "smollm2-135m-instruct")
    wanted = ["--hardware", "replicate/cpu", "--billing", "always-on", "--load", "100000", "--json"]
    assert command.main([*wanted, "--margin", "0.5", "--price", "0.01"]) == 0
    found = {(one["row"], one["column"]): one for one in json.loads(capsys.readouterr().out)}
    # One instance: 262.80 a month. For half of it: 0.005256. At $0.01 1,000 come to 1,000 less 262.80: 737.20.
    assert rounded(found["50%", "a prediction"]["value"], 6) == rounded(0.005256, 6)
    assert found["50%", "a prediction"]["estimate"]
    assert rounded(found["100,000 predictions", "left for you"]["value"]) == rounded(737.20)
    assert all(one["source"] for one in found.values())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--hardware", "replicate/gpu-t5"], 1, "--hardware: no hardware 'replicate/gpu-t5'"),
        (
            ["--hardware", "own/t3.large", "--billing", "public"],
            1,
            "own/t3.large, public: this hardware is not offered with this billing: choose another hardware or billing",
        ),
        (["--billing", "monthly"], 2, "--billing: 'monthly' is not one of public, scale-to-zero, always-on"),
        (["--margin", "1"], 1, "a margin of 1 has no price"),
        (["--load", "0"], 2, "--load"),
        (["--load", "nan"], 2, "--load"),
        (["--load", "inf"], 2, "--load"),
        (["--currency", "EUR"], 1, "--currency EUR needs --rate"),
        (["--locale", "xx_YY"], 1, "--locale: there is no locale 'xx_YY'"),
        (["--plan", "nowhere.yaml"], 1, "there is no plan nowhere.yaml"),
    ],
)
def test_bad_options_are_named(options: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(options) == code
    assert message in capsys.readouterr().err


def test_money_is_rounded_once_and_formatted_for_the_locale() -> None:
    assert [str(rounded(value)) for value in (2.675, 1.005, -0.125, 0.1 + 0.2)] == ["2.68", "1.01", "-0.13", "0.30"]
    assert Money().shown(1234567.891) == "$1,234,567.89"
    assert Money().shown(0.0000364) == "$0.0000364"
    euros = money_in("EUR", 0.9, "ECB, 2026-11-27", "de_DE")
    assert euros.shown(1234.5).replace("\xa0", " ") == "1.111,05 €"  # 1,234.50 * 0.9
    assert money_in("JPY", 150.0, "a bank", "ja_JP").shown(12.3) == "￥1,845"  # 12.3 * 150
    with pytest.raises(MoneyError, match="--currency: there is no currency 'EURO'"):
        money_in("EURO", 1, "me", "en_US")
