"""Measure two workers of one thread against one worker of two threads: training images per second, steps alone.

python scripts/measure_threads.py
"""

import tempfile
from pathlib import Path

import torch

from nrbench import Options, Processes, Suite, load_registry, load_suite, run
from nrbench.report.cost import costs

SUITE = """\
name: threads
seeds: 2
draws: 1
datasets: {{Fashion-MNIST mini: {{name: fashion_mnist_mini, train_size: {images}}}}}
backbones: {{it: {{name: resnet, depth: {depth}, stem_stride: {stride}}}}}
recipe: {{epochs: 2, held_out: 0, augment: [], precision: auto, threads: {threads}}}
selections: {{last: {{name: last}}}}
methods: {{SGD: {{name: sgd}}}}
noise: {{clean: {{name: none}}}}
"""


def rate(depth: int, stride: int, images: int, workers: int, threads: int) -> float:
    """Return training images per second of so many workers together."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.yaml"
        path.write_text(SUITE.format(depth=depth, stride=stride, images=images, threads=threads))
        suite: Suite = load_suite(path, load_registry()).for_device(torch.device("cpu"))
        options = Options(out=Path(folder) / "out", executor=Processes(jobs=workers))
        run(suite, options=options)
        (cost,) = costs(suite, options.store).values()
    return workers * 2 * images / cost.seconds


def main() -> None:
    """Print a line for each network."""
    print(f"{'network':12}{'2 × 1 thread':>16}{'1 × 2 threads':>16}{'ratio':>8}")
    for name, depth, stride, images in (("ResNet-8", 8, 2, 5000), ("ResNet-18", 18, 1, 640)):
        workers, threads = rate(depth, stride, images, 2, 1), rate(depth, stride, images, 1, 2)
        print(f"{name:12}{workers:16.0f}{threads:16.0f}{workers / threads:8.2f}")


if __name__ == "__main__":
    main()
