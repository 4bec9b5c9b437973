"""JAX 0.10.2: a convolution whose kernel has more cells than its image takes many times as long as of a larger image.

XLA swaps image and kernel there, and does the convolution that comes of it without Eigen, on a CPU. Report: none found
of this case; openxla/xla#34273 is one of its kind. Remedy: none, it is what a user of JAX gets.
"""

import time

import jax
import jax.numpy as jnp
from jax import lax

w = jnp.ones((3, 3, 256, 256)) / 100


@jax.jit
def convolved(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def seconds(side):
    x, times = jnp.ones((64, side, side, 256)), []
    for _ in range(4):
        start = time.perf_counter()
        convolved(x, w).block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times[1:])


expected, actual = seconds(4), seconds(2)
print(f"expected: less for images of 2x2 than the {1e3 * expected:.0f} ms that those of 4x4 take")
print(f"actual:   {1e3 * actual:.0f} ms, {actual / expected:.1f} times as long")
print("still there" if actual > 3 * expected else "gone")
