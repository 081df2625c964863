"""Images embedded by a service, through the client for Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract.errors import InfomaxError
from infomax.client import (
    Client,
    ClientError,
    ImageFailure,
    ImageInputError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from service.corpus.assembly import Output
from service.corpus.image import CorpusImage
from service.corpus.recorder import Recorder
from service.corpus.run import CorpusEncoder, Finished, StoppedError, run
from service.corpus.sources import Sources
from service.inference.results import Failed
from service.settings import Settings
from service.system.cancellation import interrupted_by_signals


class ServiceRunError(InfomaxError):
    """The service refuses to embed."""


def run_by_service(
    sources: Sources,
    output: Output,
    settings: Settings,
    url: str,
    api_key: str | None,
    *,
    restart: bool = False,
) -> Finished:
    """Embed by a service; the size of an image in pixels stays unknown.

    Raises:
        InfomaxError: as `run`.
        StoppedError: the service has been away for too long, or was.
        ServiceRunError: the service refuses.
    """
    most = settings.max_image_bytes
    with _own_errors(), Client(url, api_key=api_key, max_image_bytes=most) as client:
        served = client.model(settings.model) if "model" in settings.model_fields_set else client.models()[0]

        def embed(images: Iterator[CorpusImage], recorder: Recorder) -> bool:
            with interrupted_by_signals():
                try:
                    contents = _contents(images, recorder, most)
                    for one in client.batch(contents, model=served.id):
                        if isinstance(one, ImageFailure):
                            recorder.record(Failed(one.code, one.message))
                        elif one.embedding is not None:
                            recorder.record(one.embedding)
                        recorder.commit()
                except KeyboardInterrupt:
                    return True
            return False

        card: dict[str, Any] = dict(served.card)
        key = f"{served.id} {served.execution.get('precision')} {card.get('weights')}"
        return run(
            sources,
            output,
            CorpusEncoder(served.id, int(card["shapes"]["embedding"]), key, embed),
            settings,
            restart=restart,
        )


def _contents(
    images: Iterator[CorpusImage], recorder: Recorder, most: int
) -> Iterator[tuple[str, bytes | ImageInputError]]:
    for image in images:
        content = image.read(most)
        recorder.expect(image, content)
        if isinstance(content, Failed):
            yield image.id, ImageInputError(content.code, content.message)
        else:
            yield image.id, content


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except ServiceUnreachableError as error:
        raise StoppedError(f"{error} Run the same command again when the service is back.") from error
    except RequestRefusedError as error:
        if error.retry_after is not None:
            raise StoppedError(f"{error} Run the same command again later.") from error
        raise ServiceRunError(str(error)) from error
    except ClientError as error:
        raise ServiceRunError(str(error)) from error
