"""BentoML: a batchable API, one worker process for each core; images and embeddings as base64 in JSON."""

import base64

import bentoml

from bench.serving.peers.embedder import Embedder, processes


@bentoml.service(workers=processes(), traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Encoder:
    """A list of images in, the list of their embeddings out; BentoML joins the lists of many requests."""

    def __init__(self) -> None:
        self._embedder = Embedder()

    @bentoml.api(batchable=True, max_batch_size=64)  # type: ignore[untyped-decorator]
    def embed(self, images: list[str]) -> list[str]:
        embeddings = self._embedder.embed([base64.b64decode(image) for image in images])
        return [base64.b64encode(row.tobytes()).decode() for row in embeddings]
