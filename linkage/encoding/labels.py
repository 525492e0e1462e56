"""Domain-separation labels of the encoding: one key, many uses, never one use for another."""

ENCODING_KEY = b"tongqiao/v1/encoding/profile"
SALT_KEY = b"tongqiao/v1/encoding/salt"
TAG_KEY = b"tongqiao/v1/encoding/tag"
TOKEN_KEY = b"tongqiao/v1/encoding/token"
DIFFUSION_KEY = b"tongqiao/v1/encoding/diffusion"
READINGS = b"tongqiao/v1/encoding/readings"
SHAPES = b"tongqiao/v1/encoding/shapes"
