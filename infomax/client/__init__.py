"""Client of the service for Python: `Client` for threads, `AsyncClient` for asyncio.

It needs httpx, NumPy and tenacity, and neither ONNX Runtime nor the packages of the service.
"""

from infomax.client.asynchronous import AsyncClient
from infomax.client.blocking import Client
from infomax.client.errors import (
    ClientError,
    DeadlineExceededError,
    ImageInputError,
    JournalError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from infomax.client.jobs import UploadItem
from infomax.client.reporting import BatchState
from infomax.client.results import (
    BatchResult,
    Embeddings,
    Hit,
    HitExplanation,
    ImageFailure,
    ImageResult,
    ImageSize,
    IndexedItem,
    ItemStored,
    MiMap,
    MiMaps,
    Neighbours,
    ServedModel,
    UploadResult,
)
from infomax.client.retry import Retry
from infomax.client.tables import to_arrow, to_numpy, to_pandas, to_record_batches

__all__ = [
    "AsyncClient",
    "BatchResult",
    "BatchState",
    "Client",
    "ClientError",
    "DeadlineExceededError",
    "Embeddings",
    "Hit",
    "HitExplanation",
    "ImageFailure",
    "ImageInputError",
    "ImageResult",
    "ImageSize",
    "IndexedItem",
    "ItemStored",
    "JournalError",
    "MiMap",
    "MiMaps",
    "Neighbours",
    "RequestRefusedError",
    "Retry",
    "ServedModel",
    "ServiceUnreachableError",
    "UploadItem",
    "UploadResult",
    "to_arrow",
    "to_numpy",
    "to_pandas",
    "to_record_batches",
]
