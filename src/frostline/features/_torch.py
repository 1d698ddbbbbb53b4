"""The torch engine: eager, on the CPU image by image, on an accelerator batch by batch."""

from __future__ import annotations

import copy
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from frostline.features._precision import autocast
from frostline.plan import pass_batch_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from frostline.plan import Layout, Precision

__all__ = ["TorchEngine", "map_images", "run_frozen"]

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class TorchEngine:
    """Runs a module eagerly, in one memory layout and precision; its rows are float32 in any."""

    def __init__(
        self, module: nn.Module, images: torch.Tensor, device: str, layout: Layout, precision: Precision = "ieee"
    ) -> None:
        self._device, self._layout, self._precision = torch.device(device), layout, precision
        # As many images at a time as there are threads now, not where a trajectory that reads rows takes fewer.
        self._n_threads = torch.get_num_threads()
        name = self._device.type
        if name != "cpu":
            # A copy: the prefix shares its parameters with networks that live elsewhere.
            module = copy.deepcopy(module).to(self._device)
        self._module = module.to(memory_format=FORMATS[layout])
        if name == "cuda":
            name = f"cuda {torch.cuda.get_device_name(self._device)}"
        self.identity = f"torch {torch.__version__} {name}, {layout}"
        if precision != "ieee":
            self.identity += f", {precision}"

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the outputs, new arrays [B, ...], of each batch of images, uint8 [B, 3, H, W], in order."""
        tensors = (torch.from_numpy(images) for images in batches)
        if self._device.type == "cpu":
            for outputs in map_images(self._module, tensors, self._layout, self._n_threads, self._precision):
                yield tuple(tensor.numpy() for tensor in outputs)
            return
        for images in tensors:
            outputs = _run_batch(self._module, images.to(self._device), self._layout, self._precision)
            yield tuple(tensor.cpu().numpy() for tensor in outputs)


def run_frozen(
    prefix: nn.Module,
    images: torch.Tensor,
    layout: Layout,
    device: torch.device,
    n_threads: int,
    precision: Precision = "ieee",
) -> tuple[torch.Tensor, ...]:
    """Return what frozen stages make of images, float32 [B, 3, H, W], with the bits of a pass on the torch engine.

    Args:
        prefix: in eval mode, on the device.
        images: of any B, normalised.
        layout, device, n_threads: how maps lie, where to compute, and how many images at a time on the CPU.
        precision: of products.
    """
    if device.type == "cpu":
        (rows,) = map_images(prefix, [images], layout, n_threads, precision)
        return rows
    size = pass_batch_size(device.type)
    parts = []
    for part in torch.split(images.to(device), size):
        filled = torch.cat([part, part[-1:].expand(size - len(part), -1, -1, -1)])
        parts.append(tuple(rows[: len(part)] for rows in _run_batch(prefix, filled, layout, precision)))
    return tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))


def _run_batch(
    module: nn.Module, images: torch.Tensor, layout: Layout, precision: Precision
) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode(), autocast(precision, images.device.type):
        outputs = module(images.contiguous(memory_format=FORMATS[layout]))
        return tuple(_as_rows(tensor) for tensor in outputs)


def map_images(
    function: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    batches: Iterable[torch.Tensor],
    layout: Layout,
    n_threads: int,
    precision: Precision = "ieee",
) -> Generator[tuple[torch.Tensor, ...]]:
    """Yield what a function makes of each batch on the CPU, image by image, several of them at a time.

    An image is alone in its batch and on its thread: torch's kernels round the last numbers of a tensor, and products
    of other sizes, in another way, so that in a batch an image's row would depend on its place and on the threads.

    Args:
        function: images [1, 3, H, W] to tensors [1, ...]; called without gradients.
        batches: images [B, 3, H, W].
        layout: how they lie in memory.
        n_threads: how many images at a time.
        precision: of products.
    """

    def run(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode(), autocast(precision, "cpu"):
            return function(image.contiguous(memory_format=FORMATS[layout]).clone())

    pool = ThreadPoolExecutor(n_threads, "frostline-images", initializer=torch.set_num_threads, initargs=(1,))
    under_way: deque[list[Any]] = deque()
    waiting = 0
    try:
        for images in batches:
            under_way.append([pool.submit(run, image) for image in torch.split(images, 1)])
            waiting += len(images)
            if waiting > 2 * n_threads + len(images):
                waiting -= len(under_way[0])
                yield _join([future.result() for future in under_way.popleft()])
        while under_way:
            yield _join([future.result() for future in under_way.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)
        # Threads that begin from here on would take the pool's number: they are to take this thread's, whatever it is.
        torch.set_num_threads(torch.get_num_threads())


def _join(rows: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    return tuple(_as_rows(torch.cat(tensors)) for tensors in zip(*rows, strict=True))


def _as_rows(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as it is stored and read: bfloat16 as float32, which holds all of its numbers."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous()
