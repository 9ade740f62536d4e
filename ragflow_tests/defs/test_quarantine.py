"""What is in quarantine is seen in the UI, and new passwords have it tried again without anybody's doing."""

from __future__ import annotations

import dagster as dg
import pytest

from ragflow.defs.resources import ArchiveResource
from ragflow.defs.sensors import reread_sensor
from ragflow_tests.defs.archive import Archive
from ragflow_tests.defs.conftest import FERRY
from ragflow_tests.ocr.pdfs import ENGLISH, lines_at, write_pdf


@pytest.fixture(autouse=True)
def text_layer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFLOW_READING__ENGINES", "text_layer")


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_documents_in_quarantine_are_shown_with_what_to_do(empty: Archive) -> None:
    empty.drop_broken("torn|here")
    (batch,) = empty.scan()
    result = empty.run("ingest_batch", batch)
    for asset in ("raw_pdfs", "ocr_text"):
        shown = str(metadata_of(result, asset)["quarantine"])
        assert "inbox/torn\\|here.pdf" in shown and "| all | damaged |" in shown and "intact copy" in shown
        assert "ragflow quarantine retry" in str(metadata_of(result, asset)["quarantine_all"])


def test_a_batch_with_nothing_in_quarantine_shows_no_table(empty: Archive) -> None:
    empty.drop("ferry", FERRY)
    (batch,) = empty.scan()
    assert "quarantine" not in metadata_of(empty.run("ingest_batch", batch), "ocr_text")


def tick(archive: Archive) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=archive.instance, resources={"archive": ArchiveResource()})
    answer = reread_sensor()(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


def test_new_passwords_ask_for_a_run(empty: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    path = empty.drop("locked", FERRY)
    write_pdf(path, [lines_at(ENGLISH)], encrypt=StandardEncryption("Candlemas", strength=128))
    (batch,) = empty.scan()
    assert empty.run("ingest_batch", batch).success
    assert isinstance(tick(empty), dg.SkipReason)
    file = empty.home / "passwords.txt"
    file.write_text("Candlemas\n")
    file.chmod(0o644)
    monkeypatch.setenv("RAGFLOW_READING__PASSWORDS_FILE", "passwords.txt")
    with pytest.raises(dg.Failure, match="chmod 600"):
        tick(empty)
    file.chmod(0o600)
    answer = tick(empty)
    assert isinstance(answer, dg.SensorResult)
    (request,) = answer.run_requests or []
    assert request.partition_key == batch and "Candlemas" not in str(request)
    result = empty.run("ingest_batch", batch)
    assert result.success and metadata_of(result, "ocr_text")["indexed"] == 1
    assert isinstance(tick(empty), dg.SkipReason)
