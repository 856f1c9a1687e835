"""The metadata of groups and arrays as zarr writes them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from rnnscope.trace.storage import Compression
from rnnscope.trace.stores.naming import ZARR_MARK
from rnnscope.trace.stores.zarr_draft_tree import Document, DraftArray
from rnnscope.trace.stores.zarr_shapes import Cut


def group_document(attributes: Document) -> Document:
    """The metadata of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def array_documents(
    arrays: Mapping[str, DraftArray], cuts: Mapping[str, Cut], compress: Compression | None
) -> dict[str, Document]:
    """The metadata of arrays as zarr writes them, made in memory."""
    import zarr
    from zarr.codecs import GzipCodec, ZstdCodec
    from zarr.storage import MemoryStore

    codecs = {"gzip": GzipCodec(level=4), "zstd": ZstdCodec(level=3)}
    kept: dict[str, Any] = {}
    store = MemoryStore(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, array in arrays.items():
            how = cuts[path]
            packed = compress if array.new.over_time and array.dtype.kind == "f" else None
            zarr.create_array(
                store,
                name=path,
                shape=array.shape,
                dtype=array.dtype,
                chunks=how.chunks or how.objects,
                shards=None if how.chunks is None else how.objects,
                compressors=None if packed is None else codecs[packed],
                filters=None,
                # A part that is missing is never a number that might be one.
                fill_value=float("nan") if array.dtype.kind == "f" else 0,
                dimension_names=list(array.new.dimensions),
                attributes=array.attributes,
            )
    return {path: json.loads(kept[f"{path}/{ZARR_MARK}"].to_bytes()) for path in arrays}
