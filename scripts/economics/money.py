"""Money as people read it: in a currency and a locale. It is rounded here and nowhere else."""

import copy
import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from models.errors import TemplateError

_EXACT_DIGITS = 9  # of a cent: the error of a binary fraction is smaller than that
_SIGNIFICANT = 3


class MoneyError(TemplateError):
    """A currency, rate or locale that does not exist."""


def rounded(value: float, decimals: int = 2) -> Decimal:
    """Rounded to `decimals`, halves away from zero as on a bill: 2.675 becomes 2.68."""
    exact = Decimal(repr(round(value, decimals + _EXACT_DIGITS)))
    return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


@dataclass(frozen=True)
class Money:
    """How money is shown. `rate`: units of the currency for one US$; `rate_source`: who published it, and when."""

    currency: str = "USD"
    locale: str = "en_US"
    rate: float = 1.0
    rate_source: str = ""

    def converted(self, dollars: float) -> float:
        """US$ in the currency."""
        return dollars * self.rate

    def shown(self, dollars: float) -> str:
        """To the currency's smallest coin; below one unit, with three significant digits."""
        from babel import Locale
        from babel.numbers import get_currency_precision

        value = self.converted(dollars)
        decimals = _decimals(value, get_currency_precision(self.currency))
        pattern = copy.copy(Locale.parse(self.locale).currency_formats["standard"])
        pattern.frac_prec = (decimals, decimals)
        amount = rounded(value, decimals)
        text: str = pattern.apply(amount, self.locale, currency=self.currency, currency_digits=False)
        return text

    def number(self, value: float, decimals: int = 0) -> str:
        """A plain number as the locale writes it."""
        from babel.numbers import format_decimal

        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return str(format_decimal(rounded(value, decimals), format=pattern, locale=self.locale))

    def percent(self, share: float) -> str:
        from babel.numbers import format_percent

        return str(format_percent(rounded(share, 3), format="#,##0.#%", locale=self.locale))

    def seconds(self, seconds: float) -> str:
        """Seconds with three significant digits."""
        return f"{self.number(seconds, _decimals(seconds))} s"


def money_in(currency: str, rate: float | None, rate_source: str, locale: str) -> Money:
    """The currency and locale that a command's options name.

    Raises:
        MoneyError: no such currency or locale, or a currency other than US$ without a rate and its source.
    """
    from babel import Locale, UnknownLocaleError
    from babel.numbers import is_currency

    try:
        Locale.parse(locale)
    except (UnknownLocaleError, ValueError) as error:
        raise MoneyError(f"--locale: there is no locale {locale!r}: write de_DE or en_US") from error
    if not is_currency(currency):
        raise MoneyError(f"--currency: there is no currency {currency!r}: write EUR or USD")
    if currency == "USD" and rate in (None, 1.0):
        return Money("USD", locale)
    if not rate or not 0 < rate < math.inf or not rate_source:
        raise MoneyError(
            f"--currency {currency} needs --rate, its units for one US$, and --rate-source, who published it and when: "
            f'--rate 0.9 --rate-source "ECB, 2026-11-27"'
        )
    return Money(currency, locale, rate, rate_source)


def _decimals(value: float, least: int = 2) -> int:
    if value == 0 or abs(value) >= 1:
        return least
    return max(least, _SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
