"""How points and keys travel to a server: JSON, gRPC, TLS."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import grpc as messages

from ragflow.errors import BadInputError, ServiceUnavailableError, UsageError
from ragflow.model.points import Point
from ragflow.vectors.server import ServerVersionStore
from ragflow.vectors.server_options import ServerOptions
from ragflow.vectors.server_requests import Requests
from ragflow_tests.vectors.builders import hashes, make_point, make_points, unit_vectors
from ragflow_tests.vectors.contract import SETTINGS, build, everything
from ragflow_tests.vectors.rest_server import RestServer


class GrpcPoints(messages.PointsServicer):
    """Keeps points as the messages they came in."""

    def __init__(self, key: str | None = None) -> None:
        self.points: dict[str, Any] = {}
        self.key = key
        self.unavailable = 0

    def _check(self, context: grpc.ServicerContext) -> None:
        if self.key is not None and dict(context.invocation_metadata()).get("api-key") != self.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong key")
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "as told")

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (named by the service)
        self._check(context)
        self.points.update({point.id.uuid: point for point in request.points})
        result = messages.UpdateResult(operation_id=0, status=messages.UpdateStatus.Completed)
        return messages.PointsOperationResponse(result=result)

    def Count(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._check(context)
        return messages.CountResponse(result=messages.CountResult(count=len(self.points)))

    def Scroll(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._check(context)
        return messages.ScrollResponse(result=[_retrieved(self.points[key]) for key in sorted(self.points)])


def _retrieved(point: Any) -> Any:
    vectors = {
        name: messages.VectorOutput(dense=vector.dense)
        if vector.HasField("dense")
        else messages.VectorOutput(sparse=vector.sparse)
        for name, vector in point.vectors.vectors.vectors.items()
    }
    given_back = messages.VectorsOutput(vectors=messages.NamedVectorsOutput(vectors=vectors))
    return messages.RetrievedPoint(id=point.id, payload=point.payload, vectors=given_back)


@contextmanager
def serving(servicer: GrpcPoints) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4))
    messages.add_PointsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def open_store(server: RestServer, port: int, key: str | None = None) -> ServerVersionStore:
    options = ServerOptions(server.url, prefer_grpc=True, grpc_port=port, api_key=key, retry_seconds=0.01)
    return ServerVersionStore(options, requests=Requests(options))


def test_grpc_gives_points_back_bit_by_bit(tmp_path: Path) -> None:
    dense = unit_vectors(4, seed=5)
    payloads: list[dict[str, Any]] = [
        {"text": "Où? “œ” \N{GRINNING FACE} \x00", "ключ": "名前", "a.b": 1, "": "empty"},
        {
            "boxes": [[0.1, 0.30000000000000004], []],
            "deep": {"a": [{"b": None}], "c": {}},
            "true": True,
            "false": False,
        },
        {"float": 1.0, "minus": -0.0, "zero": 0, "tiny": 5e-324, "long": 2**63 - 1, "smallest": -(2**63)},
        {},
    ]
    weights: list[dict[int, float]] = [{0: 1e-30, 2**32 - 1: 3.4e38}, {7: 0.1, 3: 0.7}, {}, {1: -2.5}]
    points = [make_point(i, dense[i], weights[i], payload) for i, payload in enumerate(payloads)]
    servicer = GrpcPoints()
    with RestServer(tmp_path).running() as server, serving(servicer) as port:
        store = open_store(server, port)
        servicer.unavailable = 2
        build(store, "v000001", points)
        with store.open("v000001") as reader:
            assert hashes(everything(reader)) == hashes(points)
        assert server.requests("PUT", ".*/points") == []
        too_large = Point(points[0].id, points[0].dense, points[0].sparse, {"deep": [{"count": 2**63}]})
        with store.create("v000002", SETTINGS) as writer, pytest.raises(BadInputError, match=str(points[0].id)):
            writer.upsert([too_large])
            writer.count()


def test_grpc_errors_are_ours(tmp_path: Path) -> None:
    servicer = GrpcPoints(key="other")
    with RestServer(tmp_path).running() as server, serving(servicer) as port:
        server.key = "key"
        store = open_store(server, port, "key")
        with store.create("v000001", SETTINGS) as writer, pytest.raises(UsageError, match="API key"):
            writer.count()
        servicer.key, servicer.unavailable = "key", 99
        with store.create("v000001", SETTINGS) as writer, pytest.raises(ServiceUnavailableError, match="as told"):
            writer.count()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_json_keeps_every_float_of_32_bits(numbers: list[float]) -> None:
    """There as 64 bits with 17 digits, back as the shortest text that tells it from its neighbours."""
    there = [np.float32(float(repr(number))) for number in numbers]
    back = np.array([float(str(np.float32(number))) for number in numbers]).astype(np.float32)
    wanted = np.array(numbers, dtype=np.float32)
    assert np.array(there).tobytes() == back.tobytes() == wanted.tobytes()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, and its key, in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder


def test_a_certificate_has_to_be_trusted(tmp_path: Path, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")
    with RestServer(tmp_path / "server").running(context) as server:
        server.key = "key"
        strict = ServerOptions(server.url, api_key="key")
        with pytest.raises(UsageError, match="certificate"):
            ServerVersionStore(strict, requests=Requests(strict)).versions()
        assert server.seen == []
        trusting = ServerOptions(server.url, api_key="key", ca_file=certificate / "cert.pem")
        store = ServerVersionStore(trusting, requests=Requests(trusting))
        points = make_points(20)
        build(store, "v000001", points)
        store.save_snapshot("v000001", tmp_path / "copy")
        store.load_snapshot("v000002", tmp_path / "copy")
        with store.open("v000002") as reader:
            assert hashes(everything(reader)) == hashes(points)
        careless = ServerOptions(server.url, api_key="key", verify=False)
        assert ServerVersionStore(careless, requests=Requests(careless)).versions() == ["v000001", "v000002"]
        broken = tmp_path / "empty.pem"
        broken.touch()
        with pytest.raises(UsageError, match="certificates"):
            unread = ServerOptions(server.url, ca_file=broken)
            ServerVersionStore(unread, requests=Requests(unread)).versions()
