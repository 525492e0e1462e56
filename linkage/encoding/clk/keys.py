"""Two keys for each feature, from the secret."""

from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linkage.encoding.clk.schema import KeyDerivation

FeatureKeys = tuple[bytes, bytes]


def derive_feature_keys(
    derivation: KeyDerivation, secret: bytes, n_features: int
) -> list[FeatureKeys]:
    """Keys of all features, the ignored ones too: HKDF's output cut into pieces in their order.

    Args:
        derivation: as the schema says.
        secret: the offices' common secret, any number of bytes.
        n_features: columns of the schema.
    """
    if derivation.kind == "legacy":
        return [(secret, secret)] * n_features
    size = derivation.key_bytes
    algorithm = SHA512() if derivation.hash == "SHA512" else SHA256()
    stream = HKDF(
        algorithm, 2 * n_features * size, salt=derivation.salt, info=derivation.info
    ).derive(secret)
    return [
        (stream[start : start + size], stream[start + size : start + 2 * size])
        for start in range(0, len(stream), 2 * size)
    ]
