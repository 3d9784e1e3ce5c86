"""Where published weights come from, and how each place names an encoder's tensors.

Every entry says what is confirmed (C) by the code that writes or reads these files, and what is unknown (U). No
published file was at hand. Nothing here loads torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ferkit.errors import UnknownNameError

Supervision = Literal["unsupervised", "weak", "supervised", "unknown"]
"""What published weights may have learnt from; words as in `EncoderCard.supervision`."""


@dataclass(frozen=True)
class Origin:
    """How one code base names an encoder's tensors.

    ``module.`` and ``_orig_mod.`` (DistributedDataParallel, torch.compile) are taken out of all names beforehand, and a
    network's classifier is left out afterwards; neither is told here.
    """

    # names under which a checkpoint may hold the tensors, the first that is there is taken; a file of nothing but
    # tensors is taken as it is
    holders: tuple[str, ...] = ("state_dict",)
    # what the encoder's names begin with, the first that occurs is taken; "" takes all names
    prefixes: tuple[str, ...] = ("",)
    # regular expressions and their replacements, applied in order to what follows the prefix
    renames: tuple[tuple[str, str], ...] = ()
    # beginnings of names, after renaming, that are left out where the network has no such layer
    spare: tuple[str, ...] = ()
    arch: str | None = None  # the network, unless another is named; None finds it by the shapes
    input_size: int = 224  # side of the images in pixels that it was trained with
    supervision: Supervision = "unsupervised"  # what it learnt from
    paper: str | None = None  # whose method it is


ORIGINS: Mapping[str, Origin] = {
    # ``ResNetSimCLR``: torchvision's ResNet as ``backbone``, its ``fc`` replaced by the projection head (C). Runs on
    # pictures and sound hold two networks; ``state_dict`` is then the sound's, so ``state_dict_img`` comes first (C).
    # The authors' checkpoints hold a pickled learning rate schedule, so they are refused until it is taken out (C).
    # Trained with 112 px, RGB or BGR: their code mixes both (C).
    "ssl-fer": Origin(
        holders=("state_dict_img", "state_dict"), prefixes=("backbone.",), input_size=112, paper="arXiv:2210.03853"
    ),
    # ``codegeneration`` of FaceCycle, the expression encoder; ``exptoflow`` and ``Swap_Generator`` are left out (C).
    # Its layers are those of `ferkit.encoders.cycleface` under other names (C). 64 px, mean and deviation of ImageNet
    # (C).
    "cycleface": Origin(
        holders=("codegeneration",),
        renames=(
            (r"^conv1\.0\.", "map.0.0."),
            (r"^conv1\.2\.", "map.1.0."),
            (r"^layer1\.0\.", "map.2.0."),
            (r"^layer1\.2\.", "map.3."),
            (r"^layer1\.3\.", "map.4.0."),
            (r"^layer2_1\.0\.", "map.5.0."),
            (r"^layer2_1\.2\.", "map.6."),
            (r"^layer2_1\.3\.", "map.7.0."),
            (r"^resblock1\.", "map.8."),
            (r"^resblock2\.", "map.9."),
            (r"^layer2_2\.0\.", "map.10.0."),
            (r"^layer2_2\.2\.", "map.11.0."),
            (r"^layer3_1\.0\.", "map.12.0."),
            (r"^layer3_1\.2\.", "map.13.0."),
            (r"^layer3_2\.0\.", "map.14.0."),
            (r"^layer3_2\.2\.", "map.15.0."),
            (r"^map\.([89])\.conv1\.", r"map.\1.inner.0.0."),
            (r"^map\.([89])\.conv2\.", r"map.\1.inner.1."),
            (r"^map\.([36])\.phi\.", r"map.\1.what."),
            (r"^map\.([36])\.theta\.", r"map.\1.where."),
            (r"^map\.([36])\.g\.", r"map.\1.which."),
            (r"^expresscode\.", "code."),
        ),
        spare=("code.",),
        arch="cycleface",
        input_size=64,
        paper="Chang et al., ICCV 2021",
    ),
    # ``SupConResNet``: a ResNet with torchvision's layers as ``encoder``, whose ``shortcut`` is their ``downsample``
    # (C). ``head`` and ``linear_classifier`` are left out, as in the authors' linear evaluation (C). Their
    # ``save_model`` is not published; that the tensors are under ``model`` is what the evaluation reads (C), that the
    # options beside them are a pickled ``argparse.Namespace``, which is refused, is what the code theirs is based on
    # does (U).
    "crs-cont": Origin(
        holders=("model",),
        prefixes=("encoder.",),
        renames=((r"\.shortcut\.", ".downsample."),),
        supervision="weak",
        paper="Li et al., IEEE TIP 2022",
    ),
    # MMSelfSup and MMPretrain: ``backbone`` is the online (BYOL) or query (MoCo) network, which they evaluate (C).
    # ``target_net``, ``encoder_k``, ``neck``, ``head`` and ``queue`` are left out. What their
    # ``extract_backbone_weights`` writes has no prefix (C). ResNets have torchvision's names (C), vision transformers
    # mmcls's (C); other networks are U. Files of a running MMEngine hold its history beside the tensors and are refused
    # until it is taken out (U).
    "mmselfsup": Origin(
        prefixes=("backbone.", ""),
        renames=(
            (r"^ln1\.", "norm."),
            (r"^layers\.", "blocks."),
            (r"\.ln(\d)\.", r".norm\1."),
            (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
            (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
            (r"^patch_embed\.projection\.", "patch_embed.proj."),
        ),
    ),
    # Lightning checkpoints of solo-learn: ``backbone``, before 1.0.3 ``encoder``, the online network (C).
    # ``momentum_backbone`` is left out for every method, as in their ``main_linear`` (C); so are ``projector``,
    # ``predictor`` and ``classifier``. Their networks are torchvision's ResNets and timm's (C); the ResNets for CIFAR
    # have a 3 px stem, which no ResNet of timm has, and are refused. Settings pickled beside the tensors (omegaconf)
    # are refused (U).
    "solo-learn": Origin(prefixes=("backbone.", "encoder.")),
    # Models after lightly's examples: ``backbone``, often ``nn.Sequential`` of torchvision's layers, hence numbers (C).
    # Methods of self-distillation (DINO, iBOT) have a ``teacher_backbone``, which their papers evaluate, so it comes
    # first (C); of BYOL and MoCo the online ``backbone`` is taken and ``backbone_momentum`` left out (C).
    # LightlyTrain's ``exported_last.pt`` has torchvision's or timm's names without a prefix (C). lightly's own small
    # ``ResNetGenerator`` is no network of timm and is refused (C).
    "lightly": Origin(
        prefixes=("teacher_backbone.", "model.backbone.", "backbone.", ""),
        renames=(
            (r"^0\.", "conv1."),
            (r"^1\.", "bn1."),
            (r"^4\.", "layer1."),
            (r"^5\.", "layer2."),
            (r"^6\.", "layer3."),
            (r"^7\.", "layer4."),
        ),
    ),
    # facebookresearch/moco: ``encoder_q``, the query network that the authors evaluate (C); v3: ``base_encoder`` (C).
    # The key network, the queue and the head (``fc``, v3 transformers: ``head``) are left out (C). Of v3's transformers
    # the base one is timm's (C); the small one (12 heads, timm's has 6) and those with a stem of convolutions are no
    # networks of timm and are refused (C).
    "moco": Origin(prefixes=("encoder_q.", "base_encoder.", ""), paper="arXiv:1911.05722"),
    # facebookresearch/mae and MAE-Face, which is built on it: timm's names under ``model`` (C). Vectors are the class
    # token's, as MAE-Face's authors say for features that are not fine-tuned (C); the decoder, where the file holds it,
    # is left out.
    "mae": Origin(holders=("model",), spare=("decoder", "mask_token"), paper="arXiv:2111.06377"),
    # timm and torchvision's ResNets: names as they are; of a training checkpoint the moving average first (C). What the
    # weights learnt from is not in the file (U).
    "timm": Origin(holders=("state_dict_ema", "model_ema", "state_dict", "model"), supervision="unknown"),
}
"""The origins that ``ferkit models import --from`` knows."""


def pick_origin(name: str) -> Origin:
    """Return an entry of ORIGINS.

    Raises:
        UnknownNameError: there is no such name; says the nearest ones.
    """
    if name not in ORIGINS:
        raise UnknownNameError(name, ORIGINS, "origin of weights")
    return ORIGINS[name]
