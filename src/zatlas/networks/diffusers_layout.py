"""Which file of a published latent diffusion autoencoder says what: its config.json and the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
KL, VQ = "AutoencoderKL", "VQModel"
NETWORKS = {KL: "autoencoder-kl", VQ: "vq-model"}
TESTED = "0.42.1"  # the version of the library that outputs are compared with
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
SHARED = ("block_out_channels", "layers_per_block", "latent_channels", "norm_num_groups", "mid_block_add_attention")
OWN = {
    KL: (*SHARED, "use_quant_conv", "use_post_quant_conv", "scaling_factor", "shift_factor"),
    VQ: SHARED,
}
# Of the library's own defaults, what differs from those of zatlas or is not a setting of the network.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    KL: {
        "in_channels": 3, "out_channels": 3, "block_out_channels": [64], "layers_per_block": 1, "latent_channels": 4,
        "norm_num_groups": 32, "sample_size": 32, "scaling_factor": 0.18215, "shift_factor": None,
        "use_quant_conv": True, "use_post_quant_conv": True, "mid_block_add_attention": True,
    },
    VQ: {
        "in_channels": 3, "out_channels": 3, "block_out_channels": [64], "layers_per_block": 1, "latent_channels": 3,
        "norm_num_groups": 32, "sample_size": 32, "num_vq_embeddings": 256, "vq_embed_dim": None,
        "scaling_factor": 0.18215, "mid_block_add_attention": True,
    },
}  # fmt: skip
# Keys that must have this value, as another is another architecture.
FIXED: Mapping[str, Any] = {"act_fn": "silu", "norm_type": "group", "lookup_from_codebook": False}
# Keys of pipelines and of the library itself, which change nothing here; they are kept for the way back.
KEPT = ("_class_name", "_diffusers_version", "_name_or_path", "force_upcast", "latents_mean", "latents_std")
FORMER_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def theirs(ours: str) -> str | None:
    """What the file calls one of our tensors; None for those that it does not have.

    >>> theirs("encoder.net.quant_conv.bias"), theirs("decoder.net.decoder.conv_in.bias")
    ('quant_conv.bias', 'decoder.conv_in.bias')
    >>> theirs("encoder.encoder.conv_in.bias"), theirs("codebook.codewords"), theirs("prior.start")
    ('encoder.conv_in.bias', 'quantize.embedding.weight', None)
    """
    if ours == "codebook.codewords":
        return "quantize.embedding.weight"
    for prefix in ("encoder.net.", "decoder.net.", "encoder."):
        inner = ours.removeprefix(prefix)
        if inner != ours and inner.startswith(("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")):
            return inner
    return None


def renewed(name: str) -> str:
    """Today's name of a tensor of an attention, of which old files have another.

    >>> renewed("encoder.mid_block.attentions.0.proj_attn.weight")
    'encoder.mid_block.attentions.0.to_out.0.weight'
    """
    words = name.split(".")
    if "attentions" in words and len(words) > 1 and words[-2] in FORMER_ATTENTION:
        words[-2] = FORMER_ATTENTION[words[-2]]
    return ".".join(words)
