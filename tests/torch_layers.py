"""The same layers from torch.nn, as an independent check of the lab's own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from draws import normal
from torch import nn

from reglab.models.convolution import ConvNets, Convolution
from reglab.models.transformer import HEADS, HIDDEN, WIDTH, Start, Weights


def drawn(start: Mapping[str, Start], seeds: int) -> Weights:
    """Draw weights, float64, whose biases and gains are not what they start as: [seeds, ...] each."""
    return {
        name: one.mean + 0.2 * normal(number, seeds, *one.shape) for number, (name, one) in enumerate(start.items())
    }


def layer_norm(weights: Weights, name: str, seed: int) -> nn.LayerNorm:
    """Return torch's layer norm with the gain and bias of one seed."""
    layer = nn.LayerNorm(WIDTH, dtype=torch.float64)
    layer.load_state_dict({"weight": weights[f"{name}.gain"][seed], "bias": weights[f"{name}.bias"][seed]})
    return layer


def encoder_layer(weights: Weights, name: str, seed: int) -> nn.TransformerEncoderLayer:
    """Return torch's transformer layer, norm first, with the weights of one seed of a block of this name."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, dropout=0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )

    def matrix(*parts: str) -> torch.Tensor:
        return torch.cat([weights[f"{name}.{part}.weight"][seed].T for part in parts])

    def bias(*parts: str) -> torch.Tensor:
        return torch.cat([weights[f"{name}.{part}.bias"][seed] for part in parts])

    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": matrix("q", "k", "v"),
            "self_attn.in_proj_bias": bias("q", "k", "v"),
            "self_attn.out_proj.weight": matrix("o"),
            "self_attn.out_proj.bias": bias("o"),
            "linear1.weight": matrix("u"),
            "linear1.bias": bias("u"),
            "linear2.weight": matrix("d"),
            "linear2.bias": bias("d"),
            "norm1.weight": weights[f"{name}.norm1.gain"][seed],
            "norm1.bias": weights[f"{name}.norm1.bias"][seed],
            "norm2.weight": weights[f"{name}.norm2.gain"][seed],
            "norm2.bias": weights[f"{name}.norm2.bias"][seed],
        }
    )
    return layer


def convolutional(layers: Sequence[Convolution], classes: int, drawn: ConvNets, m: int) -> nn.Sequential:
    """Return one of some convolutional networks before any training, with its weights: [N, 1, H, W] -> [N, C]."""
    modules: list[nn.Module] = []
    with torch.random.fork_rng():
        for inputs, outputs, kernel, stride in layers:
            modules += [nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        model = nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(layers[-1].outputs, classes))
    with torch.no_grad():
        for i, layer in enumerate(layers):
            convolution, weights = model[3 * i], drawn.blocks[3 * i].weight
            assert isinstance(convolution, nn.Conv2d) and isinstance(weights, torch.Tensor)
            convolution.weight.copy_(weights.unflatten(0, (-1, layer.outputs))[m])
        last, bias = model[-1], drawn.logits.bias
        assert isinstance(last, nn.Linear) and bias is not None
        last.weight.copy_(drawn.logits.weight[m].T)
        last.bias.copy_(bias[m, 0])
    return model
