"""What is sent: the images, the requests that carry them, the archives of streams."""

import base64
import io
import tarfile
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from bench.serving import images, streams
from bench.serving.contenders import Contender, contenders
from bench.serving.model import BenchModel, open_model
from contract.artefact import open_artefact
from contract.preprocessing import Preprocessing
from service.inference.results import Failed
from service.outputs.answer_batches import AnswerBatches
from service.outputs.embeddings import openai_list
from service.outputs.lines import Lines
from service.streaming.answers import Answer, Tally

MODEL = BenchModel(Path("models/tiny/1"), "tiny/1", "fp32", Preprocessing(height=32, width=32))
CONTENDERS = {one.name: one for one in contenders(MODEL, Path("data"))}


def content(name: str, body: bytes) -> bytes:
    """The image in a request's body, taken out as each server's code does."""
    if name == "BentoML":
        return base64.b64decode(orjson.loads(body)["images"][0])
    if name == "MLServer":
        return base64.b64decode(orjson.loads(body)["inputs"][0]["data"][0])
    return body


@pytest.mark.parametrize("contender", CONTENDERS.values(), ids=CONTENDERS)
def test_a_request_has_the_whole_image_and_its_length(contender: Contender) -> None:
    head, body = contender.request(b"\xff\xd8 an image\r\n\r\n").split(b"\r\n\r\n", 1)
    assert content(contender.name, body) == b"\xff\xd8 an image\r\n\r\n"
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert head.startswith(f"POST {contender.path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("contender", CONTENDERS.values(), ids=CONTENDERS)
def test_every_server_listens_on_this_machine_only(contender: Contender) -> None:
    told = " ".join([*contender.arguments(1234), *contender.variables(1234, MODEL).values()])
    assert "0.0.0.0" not in told  # noqa: S104 (that is the point)
    assert "1234" in told


def test_our_replies_are_read_as_they_are_written() -> None:
    embedding = np.random.default_rng(0).standard_normal((1, 20)).astype(np.float32)
    read = CONTENDERS["infomax"].embedding(openai_list(embedding, "tiny/1", "float"))
    np.testing.assert_array_equal(read, embedding[0])


def test_photographs_have_their_size_and_are_the_same_every_time() -> None:
    originals = images.small().files
    sizes = ((64, 48), (160, 120))
    made = images.photographs(originals, sizes)
    assert made == images.photographs(originals, sizes)
    opened = [Image.open(io.BytesIO(file)) for file in made.files]
    assert {picture.size for picture in opened} == set(sizes)
    assert len(set(made.files)) == len(made.files)
    assert all(np.asarray(picture).std() > 20 for picture in opened)


def test_an_archive_holds_so_many_images_in_order() -> None:
    with tarfile.open(fileobj=io.BytesIO(streams.tar([b"a", b"bb"], 5))) as archive:
        members = [archive.extractfile(member) for member in archive]
    assert [member.read() for member in members if member] == [b"a", b"bb", b"a", b"bb", b"a"]


def test_answers_of_a_stream_are_counted_without_those_that_failed(tiny_models: Path) -> None:
    card = open_artefact(tiny_models / "tiny" / "1").card
    embedding = np.ones(card.shapes.embedding, np.float32)
    answers = [
        Answer(0, "a", embedding=embedding),
        Answer(1, "b", Failed("corrupt_image", "broken")),
        Answer(2, "c", embedding=embedding),
    ]
    tally = Tally()
    tally.add(answers)
    for form in (Lines(), Lines("base64"), AnswerBatches(card, ["embedding"])):
        reply = form.answers(answers) + form.end(tally, None)
        assert streams.answered(reply, form.media_type) == 2


def test_a_precision_that_the_model_lacks_is_refused_by_name(tiny_models: Path) -> None:
    assert open_model(tiny_models, "tiny", "fp32").id == "tiny/1"
    with pytest.raises(FileNotFoundError, match=r"tiny/1 has no encoder\.int8\.onnx"):
        open_model(tiny_models, "tiny", "int8")
