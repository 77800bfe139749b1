"""Constants of Philox4x64-10 (Salmon, Moraes, Dror & Shaw 2011), as `numpy.random.Philox` has it.

Its numbers are drawn on devices too (`frameworks.torch.philox`, `frameworks.jax.philox`), bit for
bit as NumPy draws them, so that a mask need not be sent.
"""

from __future__ import annotations

ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # added to the key after each round
FIRST_BLOCK = 1  # NumPy counts before it draws
BLOCK_WORDS = 8  # of 32 bits, the lower half of each number of 64 bits ahead of the upper


def blocks(size: int) -> int:
    """Counters needed for so many words."""
    return -(-size // BLOCK_WORDS)


def round_keys(key: int, which: int) -> list[int]:
    """A half of the key in every round, unsigned 64 bits; `which` half, 0 or 1."""
    return [(key + number * WEYL[which]) % 2**64 for number in range(ROUNDS)]
