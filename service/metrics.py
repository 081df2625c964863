"""All Prometheus metrics of the service, in base units.

Several processes share them through PROMETHEUS_MULTIPROC_DIR, which has to be set before this module is
imported. Every gauge therefore states how the values of the processes combine; none is computed on scrape.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SHORT_SECONDS = (0.00005, 0.0001, 0.00025, *_SECONDS[:-3])
_DISTANCES = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0)
_NATS = (-8.0, -4.0, -2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0)
_COSINE_DISTANCES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0)
_BATCH = tuple(float(2**power) for power in range(13))

REQUESTS = Counter("infomax_requests", "Answered requests.", ["route", "method", "status"])
REQUEST_SECONDS = Histogram(
    "infomax_request_duration_seconds",
    "Time from a request's arrival to the last byte of its answer.",
    ["route"],
    buckets=_SECONDS,
)
ITEMS = Counter("infomax_items", "Images by outcome: ok, or the code of the failure.", ["route", "outcome"])
REJECTIONS = Counter("infomax_rejections", "Requests refused as a whole, by code.", ["reason"])
KEY_ITEMS = Counter("infomax_key_items", "Images admitted within the limits of each API key.", ["key"])
CANCELLED_ITEMS = Counter(
    "infomax_cancelled_items",
    "Images whose client stopped waiting, by the stage that they had reached and the reason.",
    ["stage", "reason"],
)

QUEUE_DEPTH = Gauge(
    "infomax_queue_depth_items", "Images admitted and not yet answered.", multiprocess_mode="livesum"
)
QUEUE_OLDEST = Gauge(
    "infomax_queue_oldest_age_seconds",
    "Age of the image that has waited longest for inference, sampled once a second.",
    multiprocess_mode="livemax",
)
QUEUE_WAIT = Histogram(
    "infomax_queue_wait_seconds",
    "Wait of a request's images for a batch, the longest of each batch: since decoding or, for small images, "
    "which the batch's thread decodes, since arrival.",
    buckets=_SHORT_SECONDS,
)
DECODE_SECONDS = Histogram(
    "infomax_decode_seconds", "Time to decode and resize one image.", ["format"], buckets=_SHORT_SECONDS
)
DECODE_ERRORS = Counter(
    "infomax_decode_errors",
    "Images that cannot be decoded, by the format that their first bytes say and the code of the failure.",
    ["format", "code"],
)
BATCH_SIZE = Histogram("infomax_batch_size", "Images in a batch, without padding.", buckets=_BATCH)
BATCH_WAIT = Histogram(
    "infomax_batch_wait_seconds",
    "Wait of a batch's first image for its batch.",
    buckets=_SHORT_SECONDS,
)
INFERENCE_SECONDS = Histogram(
    "infomax_inference_seconds",
    "Time of one batch in encoder and critic, by its size rounded up to a power of two.",
    ["provider", "bucket"],
    buckets=_SHORT_SECONDS,
)
PADDING_ITEMS = Counter(
    "infomax_padding_items", "Empty places in batches on a GPU, computed without use; a CPU has none."
)
THREAD_DEATHS = Counter("infomax_thread_deaths", "Worker threads that died and were replaced.", ["crew"])

TRAINING_DISTANCE = Histogram(
    "infomax_training_distance_ratio",
    "Distance of an image to the mean of the training images, in units of its root mean square over these: "
    "the length of the embedding before it is scaled to one. Not of models without fitted axes.",
    ["model"],
    buckets=_DISTANCES,
)
MAP_NATS = Histogram(
    "infomax_map_nats",
    "Mean of an image's MI map against its own code, in nats, where a map is asked for. It may be negative: "
    "the sum says nothing.",
    ["model"],
    buckets=_NATS,
)

READY = Gauge("infomax_ready", "1 while every process is ready for requests.", multiprocess_mode="livemin")
MODEL_INFO = Gauge(
    "infomax_model_info",
    "1 for each served model version.",
    ["name", "version", "sha256", "provider"],
    multiprocess_mode="livemax",
)
MODEL_LOAD_FAILED = Gauge(
    "infomax_model_load_failed",
    "1 while the last version to load is refused and the version before it still serves.",
    ["model"],
    multiprocess_mode="livemax",
)
PROVIDER_REQUESTED = Gauge(
    "infomax_execution_provider_requested",
    "1 for the requested device.",
    ["device"],
    multiprocess_mode="livemax",
)
PROVIDER_ACTIVE = Gauge(
    "infomax_execution_provider_active",
    "1 for the provider that runs.",
    ["provider"],
    multiprocess_mode="livemax",
)
PRECISION_ACTIVE = Gauge(
    "infomax_precision_active",
    "1 for the precision in which a model's encoder runs.",
    ["model", "precision"],
    multiprocess_mode="livemax",
)
NODES = Gauge(
    "infomax_nodes",
    "Nodes of encoder and critic by provider.",
    ["model", "provider"],
    multiprocess_mode="livemax",
)
WARM_UP_RATE = Gauge(
    "infomax_warm_up_images_per_second",
    "Images a second of inference alone on full batches, measured when the model was loaded.",
    ["model"],
    multiprocess_mode="livesum",
)

INDEX_SIZE = Gauge(
    "infomax_index_size",
    "Items in the index for the served model version.",
    ["model"],
    multiprocess_mode="livemax",
)
INDEX_GRAPH_PROGRESS = Gauge(
    "infomax_index_graph_progress",
    "Share of the neighbour graph that is built: 0 without one, 1 where it answers searches.",
    ["model"],
    multiprocess_mode="livemax",
)
INDEX_READ_ONLY = Gauge(
    "infomax_index_read_only",
    "1 where the index refuses writes, because its disk is full or it is a replica; reads go on.",
    multiprocess_mode="livemax",
)
INDEX_RECALL_TRUE = Counter(
    "infomax_index_recall_true",
    "True neighbours of searches by the graph that were compared with exact ones.",
    ["model"],
)
INDEX_RECALL_FOUND = Counter(
    "infomax_index_recall_found", "How many of these the graph has found; the ratio is the recall.", ["model"]
)
NEIGHBOUR_DISTANCE = Histogram(
    "infomax_neighbour_distance",
    "One less the cosine of the nearest item of a search that found any.",
    ["model"],
    buckets=_COSINE_DISTANCES,
)
INDEX_SEARCH_SECONDS = Histogram(
    "infomax_index_search_seconds", "Time of one nearest-neighbour query.", buckets=_SHORT_SECONDS
)
