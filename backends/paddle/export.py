"""A network as a Paddle inference model, and such a model run again by ``paddle.inference``.

Imports Paddle: for ``paddle_backend`` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import inference, nn
from paddle.static import InputSpec

from backends.contract import Predictor

STEM = "model"


def write_inference_model(network: nn.Layer, image: tuple[int, ...], directory: Path) -> None:
    """``network`` in evaluation mode for float32[batch, *image]: model.json (or .pdmodel) and model.pdiparams."""
    network.eval()
    images = InputSpec([None, *image], "float32", "images")
    paddle.jit.save(network, str(directory / STEM), input_spec=[images])


class InferenceModel(Predictor):
    """A ``paddle.inference`` predictor on the CPU."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        # The older graph, which tuned workers have as their default, writes model.pdmodel in place of model.json.
        (program,) = (file for file in directory.iterdir() if file.suffix in (".json", ".pdmodel"))
        config = inference.Config(str(program), str(directory / f"{STEM}.pdiparams"))
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(threads)
        config.disable_glog_info()
        self._predictor = inference.create_predictor(config)
        (self._input,) = self._predictor.get_input_names()
        (self._output,) = self._predictor.get_output_names()

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits [N, classes] in float32 of images [N, C, H, W]."""
        self._predictor.get_input_handle(self._input).copy_from_cpu(np.ascontiguousarray(images, np.float32))
        self._predictor.run()
        logits: NDArray[Any] = self._predictor.get_output_handle(self._output).copy_to_cpu()
        return logits
