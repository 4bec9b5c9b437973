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
    most = [3 if kind == "conv2d" else k // 2 for k in kernel]
    padding = tuple((draw(st.integers(0, m)), draw(st.integers(0, m))) for m in most)
    groups, reach = 1, kernel
    if kind == "conv2d":
        groups, dilation = draw(st.integers(1, 3)), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        out = groups * draw(st.integers(1, 3 // groups))
        options |= {"out_channels": out, "bias": draw(st.booleans()), "groups": groups, "dilation": dilation}
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    else:
        options |= {"ceil_mode": draw(st.booleans())}
    if kind == "avg_pool2d":
        options |= {"count_include_pad": draw(st.booleans())}
    sizes = tuple(
        draw(st.integers(max(1, k - sum(p)), max(8, k - sum(p)))) for k, p in zip(reach, padding, strict=True)
    )
    channels = groups * draw(st.integers(1, max(2 // groups, 1)))
    return LAYERS[kind](padding=padding, **options), (draw(st.integers(1, 2)), channels, *sizes)
