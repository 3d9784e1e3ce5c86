"""The encoder that an embedding set was made with: how the set names it, and the way back to it."""

from pathlib import Path

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.encoder_stamp import EncoderStamp, require_same_encoder
from ferkit.encoders.encoder import Encoder, find_head, load_encoder
from ferkit.encoders.export_module import contract_digest
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.encoders.registry import PREFIX, EncoderEntry, load_registry
from ferkit.encoders.runtimes import FLOAT32
from ferkit.errors import MissingPathError, SetError, UnknownEncoderError
from ferkit.progress import Progress


def load_set_encoder(
    embeddings: EmbeddingSet, path: Path, encoder: str | Path | None, device: str | None, progress: Progress
) -> Encoder:
    """Load the encoder that made an embedding set, so that its vectors may be compared with the set's.

    Args:
        embeddings: the set.
        path: its ``.npy`` file, for messages.
        encoder: where the encoder lies now, if it moved; None takes it by the name that the set keeps.
        device: as `load_encoder`.
        progress: as `load_encoder`.

    Raises:
        SetError: the encoder is not where the set says.
        EncoderMismatchError: it is another one, or has changed since.
        UnknownEncoderError, MissingPathError, WeightsError, HubError: as `load_encoder`.
    """
    made = embeddings.encoder
    name = encoder or made.name
    try:
        model = load_encoder(name, device, progress)
    except (UnknownEncoderError, MissingPathError) as error:
        if encoder is not None:
            raise
        raise SetError(
            f"{str(path)!r} was made with the encoder {name!r}, which is not there any more;"
            " say where it is with --encoder"
        ) from error
    require_same_encoder(made, encoder_stamp(model, name, made.precision, made.calibration))
    return model


def find_set_head(embeddings: EmbeddingSet, encoder: str | Path | None, progress: Progress) -> ExpressionHead | None:
    """Return what reads expressions off a set's vectors, without loading a network.

    Args:
        embeddings: the set.
        encoder: where its encoder lies now, if it moved.
        progress: as `load_encoder`.

    Returns:
        None where the encoder has no head, is not there, or is another one by now.

    Raises:
        WeightsError: the head is missing or damaged.
    """
    try:
        head = find_head(encoder or embeddings.encoder.name, progress)
    except (UnknownEncoderError, MissingPathError):
        return None
    return head if head is not None and head.encoder == embeddings.encoder.sha256 else None


def encoder_stamp(
    model: Encoder, given: str | Path, precision: str = FLOAT32, calibration: str | None = None
) -> EncoderStamp:
    """Return what an embedding set keeps of its encoder.

    Its name is one that `load_encoder` finds again: an encoder outside the zoo goes by its absolute path, or on the
    hub by its repository and commit.

    Args:
        model: the loaded encoder.
        given: the name or path that it was loaded by.
        precision: in which vectors are computed.
        calibration: digest of the faces that int8 was calibrated on.
    """
    if str(given) in load_registry():
        name = model.name
    elif isinstance(model.entry, EncoderEntry) and model.entry.weights.kind == "hub":
        name = f"{PREFIX}{model.entry.weights.repo}@{model.entry.weights.revision}"
    else:
        name = str(Path(given).resolve())
    contract = contract_digest(model.entry)
    return EncoderStamp(name, model.sha256, model.dim, model.crop, model.size, precision, calibration, contract)
