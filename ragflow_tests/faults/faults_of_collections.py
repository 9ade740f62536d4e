"""Faults in a collection and around it: points, files, records, the alias, what is served, backups."""

from __future__ import annotations

from ragflow_tests.faults import mutations_served as change
from ragflow_tests.faults.fault import BOTH, CHANGED, NEW, OTHER, REMOVED, Fault, Level, Moment
from ragflow_tests.faults.mutations import lose_sparse
from ragflow_tests.faults.subject import REFUSED

POINTS = (
    Fault(
        "stale points stay beside the new ones",
        Level.POINTS,
        "earlier state of a changed document",
        change.keep_stale_points,
        ("points_exact",),
        (CHANGED, 2),
    ),
    Fault(
        "stale document version",
        Level.POINTS,
        "a changed document as it was",
        change.serve_earlier_state,
        ("points_exact", "served_coverage"),
        (CHANGED, 2),
    ),
    Fault(
        "ghost of a removed document",
        Level.POINTS,
        "points of a removed document",
        change.keep_ghost,
        ("points_exact",),
        (REMOVED, 1),
    ),
    Fault(
        "dropped batch",
        Level.POINTS,
        "all points of the new batch",
        change.drop_new_points,
        ("points_exact", "served_coverage"),
        (NEW, 1),
    ),
    Fault(
        "dropped points of a document",
        Level.POINTS,
        "an earlier document",
        change.drop_points_of_document,
        ("points_exact", "served_coverage"),
        (OTHER, 1),
        situations=BOTH,
    ),
    Fault(
        "dropped point",
        Level.POINTS,
        "one point",
        change.drop_point,
        ("points_exact", "served_coverage"),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault(
        "doubled point under another id",
        Level.POINTS,
        "one point",
        change.double_point,
        ("points_exact",),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault(
        "payload without provenance", Level.POINTS, "one point", change.forget_provenance, ("points_exact",), (NEW, 1)
    ),
    Fault(
        "wrong page number in a payload",
        Level.POINTS,
        "one point",
        change.wrong_page_number,
        ("points_exact", "served_coverage"),
        (NEW, 1),
    ),
    Fault(
        "boxes shifted in a payload", Level.POINTS, "one point", change.shift_point_boxes, ("points_exact",), (NEW, 1)
    ),
    Fault(
        "title changed in a payload", Level.POINTS, "one point", change.change_point_title, ("points_exact",), (NEW, 1)
    ),
    Fault(
        "swapped vectors, in the collection only",
        Level.POINTS,
        "vectors of two points",
        change.swap_point_vectors,
        ("points_exact",),
        (NEW, 1),
    ),
    Fault(
        "lost sparse vectors, in the collection only",
        Level.POINTS,
        "sparse vectors of all points",
        lose_sparse,
        ("points_exact",),
        (NEW, 1),
        situations=BOTH,
    ),
    Fault(
        "retrieval made worse by shuffled vectors",
        Level.POINTS,
        "vectors of all points",
        change.shuffle_vectors,
        ("points_exact", "golden_queries", "known_items"),
        (NEW, 1),
    ),
)

CODE = (
    Fault(
        "page numbers off by one in the code",
        Level.CODE,
        "what makes payloads, for build and gate",
        change.payload_page_off,
        ("served_coverage",),
        (NEW, 1),
    ),
    Fault(
        "boxes off in the code",
        Level.CODE,
        "what makes payloads, for build and gate",
        change.payload_boxes_off,
        ("payloads_match_tables",),
    ),
    Fault(
        "texts cut in the code",
        Level.CODE,
        "what makes payloads, for build and gate",
        change.payload_text_cut,
        ("payloads_match_tables",),
    ),
)

TABLES = (
    Fault("half-written table", Level.TABLES, "vectors of the new batch", change.truncate, ("tables_intact",)),
    Fault("record of a table missing", Level.TABLES, "record of the new vectors", change.lose, ("tables_intact",)),
    Fault("table missing", Level.TABLES, "words of the new batch", change.lose, ("tables_intact",)),
    Fault(
        "flipped byte in a Parquet file",
        Level.TABLES,
        "words of the new batch",
        change.flip_byte,
        ("tables_intact",),
        situations=BOTH,
    ),
    Fault(
        "flipped byte in an old Parquet file",
        Level.TABLES,
        "words of the first batch",
        change.flip_byte,
        ("tables_intact",),
    ),
    Fault(
        "flipped byte in the vectors' Parquet file",
        Level.TABLES,
        "vectors of the new batch",
        change.flip_byte,
        ("tables_intact",),
    ),
)

RECORDS = (
    Fault("manifest edited", Level.RECORDS, "manifest of the first batch", change.leave_document_out, (REFUSED,)),
    Fault(
        "manifest edited, its name put right",
        Level.RECORDS,
        "manifest of the second batch",
        change.leave_document_out,
        ("manifests_chained",),
        forged=True,
    ),
    Fault("manifest lost", Level.RECORDS, "manifest of the second batch", change.lose, ("manifests_chained",)),
    Fault("newest release record lost", Level.RECORDS, "newest release record", change.lose, ("releases_chained",)),
    Fault("old release record edited", Level.RECORDS, "oldest release record", change.claim_other_time, (REFUSED,)),
    Fault(
        "old release record edited and sealed anew",
        Level.RECORDS,
        "oldest release record",
        change.claim_other_time,
        (REFUSED,),
        forged=True,
    ),
    Fault("newest release record edited", Level.RECORDS, "newest release record", change.claim_other_time, (REFUSED,)),
    Fault(
        "newest release record edited and sealed anew",
        Level.RECORDS,
        "newest release record",
        change.claim_other_time,
        ("releases_chained",),
        forged=True,
    ),
    Fault(
        "record of the candidate edited",
        Level.RECORDS,
        "record of the candidate",
        change.claim_other_points,
        ("version_sealed",),
        situations=BOTH,
    ),
    Fault(
        "settings changed after the build",
        Level.SETTINGS,
        "length of chunks",
        change.cut_finer,
        ("stages_current", "model_matches"),
    ),
    Fault("candidate of fewer batches", Level.RECORDS, "batches", change.leave_batch_out, ("batches_complete",)),
)

LIVE = (
    Fault("alias moved back by hand", Level.ALIAS, "alias", change.oldest, ("releases_chained",)),
    Fault(
        "alias moved by hand to the unproven candidate",
        Level.ALIAS,
        "alias, once a candidate is built",
        change.newest,
        ("releases_chained",),
        situations=BOTH,
    ),
    Fault(
        "index of the candidate lost: dense search returns rubbish",
        Level.SERVED,
        "dense search of the candidate",
        change.rubbish,
        ("ready",),
    ),
    Fault(
        "sparse search of the candidate finds nothing",
        Level.SERVED,
        "sparse search of the candidate",
        change.nothing,
        ("ready",),
        situations=BOTH,
    ),
    Fault(
        "files of the live version exchanged after the gate",
        Level.SERVED,
        "files",
        change.oldest,
        ("canary_counts",),
        moment=Moment.LIVE,
    ),
    Fault(
        "files of the live version lost after the gate",
        Level.SERVED,
        "files, for nothing",
        change.lose,
        ("canary_queries",),
        moment=Moment.LIVE,
        situations=BOTH,
    ),
    Fault(
        "index lost: dense search returns rubbish",
        Level.SERVED,
        "dense search",
        change.rubbish,
        ("canary_queries",),
        moment=Moment.LIVE,
        situations=BOTH,
    ),
    Fault(
        "dense search finds nothing",
        Level.SERVED,
        "dense search",
        change.nothing,
        ("canary_queries",),
        moment=Moment.LIVE,
    ),
    Fault(
        "sparse search finds nothing",
        Level.SERVED,
        "sparse search",
        change.nothing,
        ("canary_queries",),
        moment=Moment.LIVE,
    ),
    Fault(
        "alias moved by another at the same moment",
        Level.SERVED,
        "alias",
        change.oldest,
        ("refused",),
        moment=Moment.LIVE,
    ),
)

BACKUPS = (
    Fault(
        "snapshot of a backup lacks a point",
        Level.BACKUP,
        "points in the snapshot",
        change.drop_point,
        ("backup_snapshot",),
        forged=True,
    ),
    Fault(
        "snapshot of a backup with swapped vectors",
        Level.BACKUP,
        "points in the snapshot",
        change.swap_point_vectors,
        ("backup_snapshot",),
        forged=True,
    ),
    Fault(
        "snapshot of a backup does not restore",
        Level.BACKUP,
        "largest file of the snapshot",
        change.flip_byte,
        ("backup_snapshot",),
    ),
)
