"""YAML to frozen data: sweeps, GPUs, networks, prices. Errors name file, key and nearest valid name."""

from bench.config.choosing import (
    choose,
    choose_checkpoint,
    choose_transports,
    memory_of,
    models_of,
    operations_of,
    parsed,
    resolutions_of,
)
from bench.config.gpus import Gpu, Gpus, load_gpus
from bench.config.networks import FileFormat, Files, Network, Networks, load_networks
from bench.config.prices import Card, EndpointPrice, Prices, load_prices
from bench.config.sweep import (
    MOST_CASES,
    MOST_REQUESTS,
    AxisError,
    LoadSettings,
    OverlapSettings,
    Sweep,
    refuse_many,
    sweep_model,
)
from bench.config.sweep_file import find, load, shipped
from bench.config.values import (
    DTYPES,
    TRANSPORTS,
    Resolution,
    parse_model,
    parse_operation,
    parse_resolution,
    parse_tiling,
    parse_weights,
)
