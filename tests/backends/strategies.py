"""What hypothesis draws."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from specs.layers import LAYERS, Layer


@st.composite
def windowed(draw: st.DrawFn) -> tuple[Layer, tuple[int, ...]]:
    """A convolution or pooling layer with any options, and an input it fits, of at most 256 values."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    options: dict[str, Any] = {"kernel_size": kernel, "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))}
    kind = draw(st.sampled_from(("conv2d", "max_pool2d", "avg_pool2d")))
    padding = tuple(draw(st.integers(0, 3 if kind == "conv2d" else k // 2)) for k in kernel)
    if kind == "conv2d":
        options |= {"out_channels": draw(st.integers(1, 3)), "bias": draw(st.booleans())}
    elif kind == "avg_pool2d":
        options |= {"count_include_pad": draw(st.booleans())}
    sizes = tuple(
        draw(st.integers(max(1, k - 2 * p), 8 if k - 2 * p < 8 else k)) for k, p in zip(kernel, padding, strict=True)
    )
    return LAYERS[kind](padding=padding, **options), (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *sizes)
