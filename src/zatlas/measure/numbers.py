"""How figures are written for people: as many digits as are known, and no more."""

from __future__ import annotations

import math
from typing import Any

_MINUS = "−"


def with_error(value: float, standard_error: float) -> tuple[str, str]:
    """Value and standard error to the error's first digit, or to its second when the first is a 1.

    >>> with_error(135.2371, 0.3127)
    ('135.2', '0.3')
    >>> with_error(135.2371, 0.0142)
    ('135.237', '0.014')
    >>> with_error(51234.0, 270.0)
    ('51,234', '270')
    """
    if not (math.isfinite(standard_error) and standard_error > 0 and math.isfinite(value)):
        return plain(value), plain(standard_error)
    exponent = math.floor(math.log10(standard_error))
    lead = standard_error / 10.0**exponent
    decimals = min(max(0, -exponent + (1 if lead < 1.95 else 0)), 6)
    return f"{value:,.{decimals}f}".replace("-", _MINUS), f"{standard_error:,.{decimals}f}"


def plain(value: Any) -> str:
    """Any value of a table, a configuration or a headline as text.

    >>> [plain(v) for v in (60000, 135.2371, 0.000123, -2.5, 1e-9, True, None, "mlp", (256, 128))]
    ['60,000', '135.2', '0.000123', '−2.5', '1e-09', 'yes', 'none', 'mlp', '256, 128']
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", _MINUS)
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, list | tuple | set):
        return ", ".join(plain(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {plain(v)}" for k, v in value.items()) or "none"
    return str(value)


def exact(value: Any) -> str:
    """A value of a configuration, with every digit it was given and no separators, so that it can be typed again.

    >>> exact(100000), exact(0.00025), exact("mlp"), exact([256, 128])
    ('100000', '0.00025', 'mlp', '256, 128')
    """
    if isinstance(value, list | tuple | set):
        return ", ".join(exact(v) for v in value) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None or value == "" else str(value)


def size(count: int) -> str:
    """Bytes for people.

    >>> size(812), size(23_456), size(4_200_000)
    ('812 B', '23.5 kB', '4.2 MB')
    """
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.95 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


def _real(value: float) -> str:
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: f"{_MINUS}∞"}.get(value, "not a number")
    magnitude = abs(value)
    if magnitude >= 1000:
        text = f"{value:,.0f}"
    elif magnitude >= 100:
        text = f"{value:.1f}"
    elif magnitude >= 10:
        text = f"{value:.4g}"
    else:
        text = f"{value:.3g}"
    return text if "e" in text else text.replace("-", _MINUS)
