"""Which colour can be read on another."""

__all__ = ["BLACK", "WHITE", "contrast", "ink_on"]

Color = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def ink_on(color: Color) -> Color:
    """Black or white, whichever can be read better on `color`."""
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, color))


def contrast(one: Color, other: Color) -> float:
    """The contrast of two colours, 1 to 21; words can be read from 4.5 on.

    Source: WCAG 2.2, "contrast ratio" and success criterion 1.4.3.
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    """Source: WCAG 2.2, "relative luminance", of sRGB."""
    red, green, blue = (_linear(level / 255) for level in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
