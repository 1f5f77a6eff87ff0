"""BT.601: brightness and colour, as cameras' planes and YCrCb have them."""

__all__ = ["BLACK", "BLUE", "CHROMA_SCALE", "GREEN", "LUMA", "LUMA_SCALE", "RED"]

# How much of brightness is red, green and blue.
RED, GREEN, BLUE = LUMA = (0.299, 0.587, 0.114)
# In the limited range, brightness goes from 16 to 235 and colour from 16 to 240: what brings them
# to as many levels as there are.
BLACK = 16.0
LUMA_SCALE = 255 / 219
CHROMA_SCALE = 255 / 224
