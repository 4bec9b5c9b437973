"""JAX's own lines, for reproductions."""

from backends.source import FrameworkSource

_WINDOW = "(1, 1, *{kernel_size}), (1, 1, *{stride}), ((0, 0), (0, 0), ({padding[0]},) * 2, ({padding[1]},) * 2)"

SOURCE = FrameworkSource(
    title="JAX",
    imports=(
        "import jax",
        "import jax.numpy as jnp",
        "import numpy as np",
        "from jax import lax, nn",
        "",
        'jax.config.update("jax_enable_x64", True)',
    ),
    tensor="jnp.asarray({array})",
    constant="jnp.asarray({array})",
    no_bias="np.zeros(1, dtype)",
    layers={
        "conv2d": "lax.conv_general_dilated({x}, {weight}, {stride}, [({padding[0]},) * 2, ({padding[1]},) * 2], "
        "None, {dilation}, None, {groups}) + jnp.reshape({bias}, (-1, 1, 1))",
        "linear": "{x} @ {weight}.T + {bias}",
        "max_pool2d": f"lax.reduce_window({{x}}, np.array(-np.inf, dtype), lax.max, {_WINDOW})",
        "global_avg_pool": "{x}.mean((2, 3))",
        "dropout": "{x} * {mask} / {keep}",
        "flatten": "{x}.reshape(len(labels), -1)",
        "relu": "nn.relu({x})",
        "leaky_relu": "jnp.where({x} > 0, {x}, {negative_slope} * {x})",
        "tanh": "jnp.tanh({x})",
        "sigmoid": "nn.sigmoid({x})",
        "gelu": "nn.gelu({x}, approximate=False)",
        "relu6": "nn.relu6({x})",
        "silu": "nn.silu({x})",
        "elu": "nn.elu({x}, {alpha})",
        "hard_swish": "nn.hard_swish({x})",
        "softmax": "nn.softmax({x}, {features})",
        "add": "{sum}",
        "layer_norm": "nn.standardize({x}, -1, epsilon={epsilon}) * {gamma} + {beta}",
        "to_tokens": "{x}.reshape(*{x}.shape[:2], -1).swapaxes(1, 2)",
        "class_token": "jnp.concatenate([jnp.broadcast_to({token}, (len({x}), 1, len({token}))), {x}], 1)",
        "position_embedding": "{x} + {embedding}",
        "take_token": "{x}[:, {index}]",
        "mean_tokens": "{x}.mean(1)",
        "concat": "jnp.concatenate([{all}], 1)",
    },
    logits=("result = jax.jit(network)(*arrays)",),
    gradients=(
        "loss = lambda *arrays: -nn.log_softmax(network(*arrays))[np.arange(len(labels)), labels].mean()",
        "result = jax.jit(jax.grad(loss, {position}))(*arrays)",
    ),
)
