"""The networks of the table: classes of transformers, at what configuration, for which task."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

__all__ = ["NETWORKS", "Network", "Use"]

Use = Literal["classify", "detect", "depth", "embed", "restore", "segment", "video-classify"]

_CLASSES = 10
# Small enough for a conversion of seconds; two blocks a stage show every operator.
_RESNET = {
    "model_type": "resnet",
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
    "hidden_sizes": [64, 128, 256, 512],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network of the table.

    Attributes:
        name: as people call it.
        factory: the class of transformers.
        use: what its outputs mean.
        config: what its configuration has besides the class's defaults.
        size: height and width of its pictures.
        frames: how many of them it takes at once.
        outputs: which of its outputs are taken; () for all.
        task: keys of `[task]` besides `use` and `labels`.
        quiet: how the names of batch norms end that close a branch beside a shortcut and that the
            paper starts at zero. They begin at a tenth: random ones at one make an error of the
            last bit of float32 some thousand times larger by the end, in torch itself.
        of: whose sizes these are, and what was left out of them, which is only ever depth.
    """

    name: str
    factory: str
    use: Use
    config: Mapping[str, object] = field(default_factory=dict)
    size: tuple[int, int] = (224, 224)
    frames: int = 1
    outputs: tuple[str, ...] = ()
    task: Mapping[str, object] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()
    of: str

    @property
    def key(self) -> str:
        """Its name, for files."""
        return self.name.lower().replace(" ", "-")


def _classifier(
    name: str, factory: str, of: str, size: tuple[int, int] = (224, 224), **config: object
) -> Network:
    return Network(
        name=name,
        factory=f"{factory}ForImageClassification",
        use="classify",
        config={"num_labels": _CLASSES, **config},
        size=size,
        outputs=("logits",),
        of=of,
    )


def _embedder(name: str, factory: str, of: str, **config: object) -> Network:
    return Network(
        name=name, factory=factory, use="embed", config=config, outputs=("pooler_output",), of=of
    )


def _segmenter(
    name: str, factory: str, of: str, size: tuple[int, int] = (128, 128), **config: object
) -> Network:
    return Network(
        name=name,
        factory=f"{factory}ForSemanticSegmentation",
        use="segment",
        config={"num_labels": _CLASSES, **config},
        size=size,
        outputs=("logits",),
        of=of,
    )


def _depth(
    name: str, factory: str, of: str, size: tuple[int, int] = (128, 128), **config: object
) -> Network:
    return Network(
        name=name,
        factory=f"{factory}ForDepthEstimation",
        use="depth",
        config=config,
        size=size,
        outputs=("predicted_depth",),
        of=of,
    )


def _detector(
    name: str,
    factory: str,
    of: str,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    size: tuple[int, int] = (128, 128),
    **config: object,
) -> Network:
    background = "last" if activation == "softmax" else "none"
    return Network(
        name=name,
        factory=f"{factory}ForObjectDetection",
        use="detect",
        config={"num_labels": _CLASSES, **config},
        size=size,
        outputs=("logits", "pred_boxes"),
        task={
            "boxes": {"output": 1, "form": "center-size", "unit": "relative"},
            "scores": {"output": 0, "activation": activation, "background": background},
            "suppression": {"kind": "none"},
        },
        of=of,
    )


def _video(name: str, factory: str, of: str, frames: int, **config: object) -> Network:
    return Network(
        name=name,
        factory=f"{factory}ForVideoClassification",
        use="video-classify",
        config={"num_labels": _CLASSES, "image_size": 112, "num_frames": frames, **config},
        size=(112, 112),
        frames=frames,
        outputs=("logits",),
        of=of,
    )


_TINY = {"hidden_size": 192, "num_attention_heads": 3}
_SMALL = {"hidden_size": 384, "num_attention_heads": 6}
_TINY_VIT = {**_TINY, "num_hidden_layers": 2, "intermediate_size": 768}
_SMALL_VIT = {**_SMALL, "num_hidden_layers": 2, "intermediate_size": 1536}
_DETR = {
    "backbone_config": {**_RESNET, "out_features": ["stage4"]},
    "backbone": None,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_queries": 50,
}
_GRIDS = {**_DETR, "backbone_config": {**_RESNET, "out_features": ["stage2", "stage3", "stage4"]}}
_RT_BACKBONE = {
    "model_type": "rt_detr_resnet",
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
    "hidden_sizes": [64, 128, 256, 512],
    "out_features": ["stage2", "stage3", "stage4"],
}
_RT_DETR = {
    "backbone_config": _RT_BACKBONE,
    "encoder_in_channels": [128, 256, 512],
    "decoder_layers": 2,
    "num_queries": 50,
    "hidden_expansion": 0.5,
}

NETWORKS: tuple[Network, ...] = (
    _classifier("ViT", "ViT", "ViT-Ti/16, 2 of 12 layers", **_TINY_VIT),
    _classifier("DeiT", "DeiT", "DeiT-Ti/16, 2 of 12 layers", **_TINY_VIT),
    _classifier("BEiT", "Beit", "BEiT's blocks at width 192, 2 of 12 layers", **_TINY_VIT),
    _classifier(
        "Data2Vec Vision",
        "Data2VecVision",
        "its blocks at width 192, 2 of 12 layers",
        **_TINY_VIT,
    ),
    _classifier("ViT-MSN", "ViTMSN", "ViT-MSN-S/16, 2 of 12 layers", **_SMALL_VIT),
    _classifier(
        "DINOv2",
        "Dinov2",
        "ViT-S/14, 2 of 12 layers",
        **_SMALL,
        num_hidden_layers=2,
        image_size=224,
    ),
    _classifier(
        "DINOv2 with registers",
        "Dinov2WithRegisters",
        "ViT-S/14, 2 of 12 layers",
        **_SMALL,
        num_hidden_layers=2,
        image_size=224,
    ),
    _embedder(
        "DINOv3 ViT",
        "DINOv3ViTModel",
        "ViT-S/16, 2 of 12 layers",
        **_SMALL_VIT,
        num_register_tokens=4,
    ),
    _embedder(
        "DINOv3 ConvNeXt",
        "DINOv3ConvNextModel",
        "ConvNeXt-Tiny, 1 block a stage of 3, 3, 9, 3",
        depths=[1, 1, 1, 1],
    ),
    _embedder(
        "CLIP vision",
        "CLIPVisionModel",
        "its blocks at width 384, 2 of 12 layers",
        **_SMALL_VIT,
    ),
    _embedder(
        "SigLIP vision",
        "SiglipVisionModel",
        "its blocks at width 384, 2 of 12 layers",
        **_SMALL_VIT,
    ),
    _classifier("I-JEPA", "IJepa", "its blocks at width 192, 2 of 32 layers", **_TINY_VIT),
    _classifier(
        "Swin",
        "Swin",
        "Swin-T, 2 blocks a stage of 2, 2, 6, 2",
        depths=[2, 2, 2, 2],
    ),
    _classifier(
        "Swin V2",
        "Swinv2",
        "SwinV2-T, 2 blocks a stage of 2, 2, 6, 2; windows of 7",
        depths=[2, 2, 2, 2],
        image_size=224,
        window_size=7,
    ),
    _classifier(
        "ConvNeXt",
        "ConvNext",
        "ConvNeXt-T, 1 block a stage of 3, 3, 9, 3",
        depths=[1, 1, 1, 1],
    ),
    _classifier(
        "ConvNeXt V2",
        "ConvNextV2",
        "atto, 1 block a stage of 2, 2, 6, 2",
        depths=[1, 1, 1, 1],
        hidden_sizes=[40, 80, 160, 320],
    ),
    _classifier(
        "ResNet",
        "ResNet",
        "ResNet-18",
        **{key: value for key, value in _RESNET.items() if key != "model_type"},
    ),
    _classifier(
        "RegNet",
        "RegNet",
        "RegNetY-040's widths at 1 block a stage of 2, 6, 12, 2",
        depths=[1, 1, 1, 1],
    ),
    _classifier("MobileNet V1", "MobileNetV1", "1.0", size=(192, 192)),
    _classifier("MobileNet V2", "MobileNetV2", "1.0", size=(128, 128)),
    _classifier(
        "MobileViT",
        "MobileViT",
        "xx-small",
        size=(128, 128),
        hidden_sizes=[64, 80, 96],
        neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320],
        expand_ratio=2.0,
    ),
    _classifier("MobileViT V2", "MobileViTV2", "0.5", size=(128, 128), width_multiplier=0.5),
    _classifier(
        "EfficientNet",
        "EfficientNet",
        "B0",
        size=(128, 128),
        image_size=128,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
    ),
    replace(
        _classifier(
            "LeViT",
            "Levit",
            "LeViT-128S, 2 blocks a stage of 2, 3, 4",
            depths=[2, 2, 2],
            num_attention_heads=[4, 6, 8],
        ),
        quiet=("module.projection.batch_norm", "linear_down.batch_norm"),
    ),
    _classifier("PoolFormer", "PoolFormer", "S12", size=(128, 128)),
    _classifier(
        "PVT",
        "Pvt",
        "Tiny, 1 block a stage of 2, 2, 2, 2",
        size=(128, 128),
        image_size=128,
        depths=[1, 1, 1, 1],
    ),
    _classifier(
        "PVT V2",
        "PvtV2",
        "B0, 1 block a stage of 2, 2, 2, 2",
        size=(128, 128),
        image_size=128,
        depths=[1, 1, 1, 1],
    ),
    _classifier(
        "CvT", "Cvt", "CvT-13, 1, 2 and 3 blocks of 1, 2 and 10", size=(128, 128), depth=[1, 2, 3]
    ),
    _classifier(
        "FocalNet",
        "FocalNet",
        "Tiny, 1 block a stage of 2, 2, 6, 2",
        size=(128, 128),
        image_size=128,
        depths=[1, 1, 1, 1],
    ),
    _classifier(
        "BiT", "Bit", "its blocks, 1 a stage of 3, 4, 6, 3", size=(128, 128), depths=[1, 1, 1, 1]
    ),
    _classifier(
        "Hiera",
        "Hiera",
        "Tiny, 1 block a stage of 1, 2, 7, 2",
        size=(128, 128),
        image_size=[128, 128],
        depths=[1, 1, 1, 1],
    ),
    _classifier(
        "SwiftFormer",
        "SwiftFormer",
        "XS, 1, 1, 2, 1 blocks of 3, 3, 6, 4",
        size=(128, 128),
        depths=[1, 1, 2, 1],
    ),
    _classifier("TextNet", "TextNet", "base", size=(128, 128)),
    _classifier(
        "HGNet V2",
        "HGNetV2",
        "transformers' default, which is B4 without its widest layers",
        size=(128, 128),
    ),
    _segmenter("SegFormer", "Segformer", "B0"),
    _segmenter(
        "MobileViT with DeepLab V3",
        "MobileViT",
        "xx-small",
        hidden_sizes=[64, 80, 96],
        neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320],
        expand_ratio=2.0,
        image_size=128,
    ),
    _segmenter("MobileNet V2 with DeepLab V3", "MobileNetV2", "1.0"),
    _segmenter(
        "UperNet",
        "UperNet",
        "on ConvNeXt-T, 1 block a stage of 3, 3, 9, 3",
        backbone_config={
            "model_type": "convnext",
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [96, 192, 384, 768],
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        hidden_size=128,
        use_auxiliary_head=False,
    ),
    _segmenter(
        "BEiT with UperNet",
        "Beit",
        "its blocks at width 192, 4 of 12 layers",
        **{**_TINY_VIT, "num_hidden_layers": 4},
        image_size=128,
        out_indices=[1, 2, 3, 4],
        use_auxiliary_head=False,
    ),
    _depth(
        "DPT",
        "DPT",
        "its blocks at width 192, 4 of 24 layers",
        **{**_TINY_VIT, "num_hidden_layers": 4},
        image_size=128,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    ),
    _depth("GLPN", "GLPN", "its blocks, 1 a stage of 2, 2, 2, 2", depths=[1, 1, 1, 1]),
    _depth(
        "Depth Anything",
        "DepthAnything",
        "Small, 4 of 12 layers",
        size=(126, 126),
        backbone_config={
            "model_type": "dinov2",
            **_SMALL,
            "num_hidden_layers": 4,
            "image_size": 126,
            "out_indices": [1, 2, 3, 4],
            "reshape_hidden_states": False,
            "apply_layernorm": True,
        },
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
        reassemble_hidden_size=384,
    ),
    _detector(
        "YOLOS",
        "Yolos",
        "Tiny, 2 of 12 layers",
        **_TINY_VIT,
        image_size=[128, 128],
        num_detection_tokens=50,
        use_mid_position_embeddings=False,
    ),
    _detector("DETR", "Detr", "on ResNet-18, 2 of 6 layers", **_DETR),
    _detector(
        "Conditional DETR",
        "ConditionalDetr",
        "on ResNet-18, 2 of 6 layers",
        activation="sigmoid",
        **_DETR,
    ),
    _detector(
        "Deformable DETR",
        "DeformableDetr",
        "on ResNet-18, 2 of 6 layers",
        activation="sigmoid",
        **_GRIDS,
    ),
    _detector(
        "RT-DETR",
        "RTDetr",
        "on ResNet-18, 2 of 6 layers",
        activation="sigmoid",
        **_RT_DETR,
    ),
    Network(
        name="Swin2SR",
        factory="Swin2SRForImageSuperResolution",
        use="restore",
        config={"depths": [2, 2], "num_heads": [6, 6], "embed_dim": 60, "upscale": 2},
        size=(64, 64),
        outputs=("reconstruction",),
        of="lightweight, 2 × 2 of 4 × 6 blocks",
    ),
    _video("VideoMAE", "VideoMAE", "its blocks at width 192, 2 of 12 layers", 8, **_TINY_VIT),
    _video("TimeSformer", "Timesformer", "its blocks at width 192, 2 of 12 layers", 4, **_TINY_VIT),
    _video("ViViT", "Vivit", "its blocks at width 192, 2 of 12 layers", 8, **_TINY_VIT),
)
