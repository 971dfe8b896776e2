"""Prints payloads of Sparkplug B as pysparkplug 0.6.1 (Google's protobuf) makes them, a line each: NAME HEX. They stand in test/golden/sparkplug-payloads.txt."""

import datetime

from pysparkplug import DData, DataType, Metric, NBirth, NData

WHEN = 1700000000000


def metric(name, alias, kind, value, **more):
    return Metric(timestamp=WHEN, name=name, alias=alias, datatype=kind, value=value, **more)


def show(name, payload, include_dtypes):
    print(name, payload.encode(include_dtypes=include_dtypes).hex())


moment = datetime.datetime.fromtimestamp(WHEN / 1000, datetime.timezone.utc)
birth = NBirth(
    timestamp=WHEN,
    seq=0,
    metrics=(
        metric("bdSeq", None, DataType.INT64, 3),
        metric("i8", 1, DataType.INT8, -2),
        metric("i16", 2, DataType.INT16, -300),
        metric("i32", 3, DataType.INT32, -70000),
        metric("i64", 4, DataType.INT64, -5),
        metric("u64", 5, DataType.UINT64, 18446744073709551615),
        metric("f", 6, DataType.FLOAT, 21.7),
        metric("date", 7, DataType.DATETIME, moment),
        metric("i32s", 8, DataType.INT32_ARRAY, (-1, 2)),
        metric("bools", 9, DataType.BOOLEAN_ARRAY, (True, False, True)),
        metric("texts", 10, DataType.STRING_ARRAY, ("a", "ü")),
        metric("none", 11, DataType.INT8, None, is_null=True),
    ),
)
show("python-nbirth", birth, True)
show(
    "python-ndata",
    NData(
        timestamp=WHEN,
        seq=1,
        metrics=(
            metric(None, 1, DataType.INT8, -3),
            metric(None, 2, DataType.INT16, -1),
            metric("i32", None, DataType.INT32, -12),
            metric(None, 8, DataType.INT32_ARRAY, (-7,)),
        ),
    ),
    False,
)
