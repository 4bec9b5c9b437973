"""JAX 0.10.2: a convolution and its gradient take many times as long within lax.scan as outside, on a CPU.

Within a loop XLA computes them by its own plain kernels, outside by Eigen's. Report: jax-ml/jax#12868.
Remedy: one call a step for networks with convolutions in backends/jax/session.py.
"""

import time

import jax
import jax.numpy as jnp
from jax import lax

x, w = jnp.ones((32, 28, 28, 16)), jnp.ones((3, 3, 16, 32)) / 100


def loss(w):
    return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")).mean()


def step(w, _=None):
    return w - jax.grad(loss)(w), None


def seconds(function):
    times = []
    for _ in range(4):
        start = time.perf_counter()
        function(w).block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times[1:])


expected = 4 * seconds(jax.jit(lambda w: step(w)[0]))
actual = seconds(jax.jit(lambda w: lax.scan(step, w, length=4)[0]))
print(f"expected: {1e3 * expected:.0f} ms for four steps, as in four calls")
print(f"actual:   {1e3 * actual:.0f} ms, {actual / expected:.1f} times as long")
print("still there" if actual > 3 * expected else "gone")
