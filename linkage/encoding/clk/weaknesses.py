"""What is weak in a schema or secret, so that nobody uses it for new work without knowing."""

from linkage.encoding.clk.schema import LinkageSchema

MIN_SECRET_BYTES = 16
MIN_KEY_BYTES = 16


def weaknesses(schema: LinkageSchema, secret: bytes) -> tuple[str, ...]:
    """One sentence for each weak option, fit for a clerk; none for a schema of today's standard.

    That a project uses one CLK a record is not among them: it is so in every schema.
    """
    found = []
    derivation = schema.key_derivation
    if derivation.kind == "legacy":
        found.append(
            "The key derivation 'legacy' takes the secret itself as the key of every feature, so "
            "that equal pieces of different fields look the same."
        )
    elif derivation.key_bytes < MIN_KEY_BYTES:
        found.append(
            f"Keys of {derivation.key_bytes} bytes can be guessed: 'keySize' should be 64."
        )
    double = [feature for feature in schema.hashed if feature.hash.kind == "doubleHash"]
    if double:
        found.append(
            f"{_named([feature.identifier for feature in double])} use doubleHash (SHA-1 and MD5): "
            "the regular steps of its positions let an attacker read names from filters without "
            "the key (Kroll and Steinmetzer, 2015). blakeHash has no such steps."
        )
    singular = [f.identifier for f in double if not f.hash.prevent_singularity]
    if singular:
        found.append(
            f"{_named(singular)} allow singular tokens, which set one bit however many they should "
            "set ('prevent_singularity' is not true)."
        )
    if len(secret) < MIN_SECRET_BYTES:
        found.append(
            f"The secret is shorter than {MIN_SECRET_BYTES} bytes, so a computer can guess it; "
            "whoever has it can look up any child."
        )
    return tuple(found)


def _named(identifiers: list[str]) -> str:
    return "Features " + ", ".join(f"'{identifier}'" for identifier in identifiers)
