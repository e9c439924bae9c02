"""A pytest plugin for .ci/timm: torchvision from PyPI becomes importable beside a CPU build of torch.

It must come first, since torchmetrics, and so Lightning, imports any torchvision that it sees.
"""

from lifelong.utilities.learn2learn import _import_torchvision

_import_torchvision()
