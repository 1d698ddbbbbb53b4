"""The OpenVINO engine: a frozen prefix compiled for the CPU, in float32, with several batches in flight."""

from __future__ import annotations

import os
from collections import deque
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from frostline.features._quiet import import_openvino

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from numpy.typing import NDArray
    from torch import nn

    from frostline.plan import Layout, Precision

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine:
    """Runs a module through OpenVINO; the batch is fixed at the example's.

    ``torch.export`` rather than ``torch.jit.trace``: tracing is deprecated in torch and fails its own check on
    torchvision's ViT. Each core runs a single-threaded stream, which doesn't stall when decoding takes a core for a
    moment.
    """

    def __init__(
        self, module: nn.Module, images: torch.Tensor, device: str, layout: Layout, precision: Precision = "ieee"
    ) -> None:
        openvino = import_openvino()
        if device != "cpu":
            raise ValueError(f"OpenVINO runs on the CPU here, not on {device}")
        if precision != "ieee":
            raise ValueError(f"OpenVINO computes in float32 here, not in {precision}")
        with torch.no_grad():
            program = torch.export.export(module, (images,), strict=False)
        self.model = openvino.convert_model(program)
        self.model.reshape(list(images.shape))
        # Without the hint, OpenVINO computes in bfloat16 wherever the processor can.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        # One of several processes has its share of the cores; how many there are changes no bit.
        if os.environ.get("OMP_NUM_THREADS", "").isdecimal():
            settings["INFERENCE_NUM_THREADS"] = int(os.environ["OMP_NUM_THREADS"])
        self._compiled = openvino.Core().compile_model(self.model, "CPU", settings)
        self._n_outputs = len(self._compiled.outputs)
        # One more request than streams, so that a stream has its next batch while outputs are copied.
        n_requests = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._requests = [self._compiled.create_infer_request() for _ in range(n_requests)]
        self.identity = f"openvino {metadata.version('openvino')} cpu"

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the outputs, new arrays [B, ...], of each batch of images, uint8 [B, 3, H, W], in order."""
        idle = list(self._requests)
        running: deque[Any] = deque()
        try:
            for images in batches:
                if not idle:
                    request = running.popleft()
                    yield self._finish(request)
                    idle.append(request)
                request = idle.pop()
                request.start_async({0: images})
                running.append(request)
            while running:
                yield self._finish(running.popleft())
        finally:
            for request in running:
                request.wait()

    def _finish(self, request: Any) -> tuple[NDArray[Any], ...]:
        request.wait()
        # Copied: the request writes its next outputs to the same memory.
        return tuple(np.array(request.get_output_tensor(index).data) for index in range(self._n_outputs))
