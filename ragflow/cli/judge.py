"""Commands that measure how well the live version is searched, and improve it: evaluate and tune."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ragflow.cli.console import emit, progress
from ragflow.errors import UsageError
from ragflow.model.questions import Question, RetrievalOptions
from ragflow.pipeline.evaluating import Evaluation
from ragflow.pipeline.judgements import Judged, read_judged
from ragflow.pipeline.searching import Searcher
from ragflow.pipeline.tuning import TuningReport
from ragflow.pipeline.workspace import Workspace
from ragflow.quality.confidence import Estimate
from ragflow.settings import load_settings

Queries = Annotated[Path | None, typer.Option(help="JSON lines with _id and text; without: the golden queries.")]
Qrels = Annotated[Path | None, typer.Option(help="With --queries: query, document, grade, parted by tabs.")]


def evaluate(
    queries: Queries = None,
    qrels: Qrels = None,
    version: Annotated[str | None, typer.Option(help="Version to ask; without: the live one.")] = None,
) -> None:
    """Print nDCG@10, recall and reciprocal rank of dense, sparse and hybrid search, with confidence intervals."""
    from ragflow.pipeline.evaluating import evaluate as measure

    workspace = load_settings().workspace()
    with progress(), Searcher(workspace, version) as searcher:
        judged = _judged(workspace, searcher, queries, qrels)
        found = measure(searcher, judged.questions)
    emit({**_evaluation(found), **_unused(judged)}, _evaluation_text(found, judged))


def tune(
    queries: Queries = None,
    qrels: Qrels = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be stored, and store nothing.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the weights of the model.")] = False,
) -> None:
    """Fit how much words and meaning count, by language; the next release proves and publishes it."""
    from ragflow.pipeline.tuning import tune as fit_weights

    workspace = load_settings().workspace()
    if reset:
        workspace.home.tuning.remove()
        weights = workspace.fusion().to_dict()
        emit({"weights": weights}, f"Weights of the model: {_weights(weights)}. Run `ragflow ingest` to publish them.")
        return
    with progress(), Searcher(workspace) as searcher:
        judged = _judged(workspace, searcher, queries, qrels)
        found = fit_weights(searcher, judged.questions)
    stored = found.tuning is not None and not dry_run
    if found.tuning is not None and not dry_run:
        workspace.home.tuning.put(found.tuning)
    answer = {
        "before": found.before,
        "weights": found.tuning.dense if found.tuning else found.before,
        "stored": stored,
        "gain": found.gain._asdict(),
        "questions": found.questions,
        "too_few": found.left,
        **_unused(judged),
    }
    emit(answer, _tuning_text(found, stored=stored))


def _judged(workspace: Workspace, searcher: Searcher, queries: Path | None, qrels: Path | None) -> Judged:
    if (queries is None) != (qrels is None):
        raise UsageError("--queries and --qrels belong together.", remedy="Give both, or neither for golden queries.")
    if queries is not None and qrels is not None:
        from ragflow.pipeline.retrieval_quality import documents_in

        record = workspace.home.version_records.find(searcher.version)
        keys = documents_in(workspace, record) if record is not None else frozenset[str]()
        return read_judged(queries, qrels, keys)
    return Judged(_golden(workspace), (), 0)


def _golden(workspace: Workspace) -> tuple[Question, ...]:
    from ragflow.pipeline.questions import golden_questions

    named = workspace.gate.retrieval.golden_queries or RetrievalOptions().golden_queries
    assert named is not None, "there is a default"
    return golden_questions(workspace.home.root / named.expanduser())


def _unused(judged: Judged) -> dict[str, object]:
    return {"unknown_documents": len(judged.unknown_documents), "unjudged_queries": judged.unjudged}


def _evaluation(found: Evaluation) -> dict[str, object]:
    modes = {
        mode.value: {name: Estimate(*value)._asdict() for name, value in asdict(figures).items()}
        for mode, figures in found.modes.items()
    }
    return {
        "version": found.version,
        "questions": found.questions,
        "modes": modes,
        "better_single": found.better_single,
        "hybrid_gain": found.hybrid_gain._asdict(),
    }


def _evaluation_text(found: Evaluation, judged: Judged) -> str:
    lines = [f"{found.questions} questions to {found.version}; in brackets the 95 % interval"]
    lines.append(f"{'':<8}{'nDCG@10':<24}{'recall@10':<24}{'recall@100':<24}{'MRR':<24}".rstrip())
    for mode, figures in found.modes.items():
        columns = (figures.ndcg, figures.recall, figures.deep_recall, figures.reciprocal_rank)
        lines.append(f"{mode:<8}{''.join(f'{_interval(column):<24}' for column in columns)}".rstrip())
    gain = found.hybrid_gain
    lines.append(f"hybrid over {found.better_single}: {gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")
    if judged.unknown_documents:
        named = ", ".join(judged.unknown_documents[:5])
        lines.append(f"{len(judged.unknown_documents)} judged documents are not in the archive: {named}")
    if judged.unjudged:
        lines.append(f"{judged.unjudged} queries have no right answer and were left out.")
    return "\n".join(lines)


def _interval(value: Estimate) -> str:
    return f"{value.mean:.3f} ({value.low:.3f}-{value.high:.3f})"


def _weights(weights: object) -> str:
    assert isinstance(weights, dict)
    return ", ".join(f"{language} {weight:.2f}" for language, weight in weights.items())


def _tuning_text(found: TuningReport, *, stored: bool) -> str:
    gain = f"{found.gain.mean:+.3f} ({found.gain.low:+.3f} to {found.gain.high:+.3f}) nDCG@10, cross-validated"
    lines = [f"Questions: {', '.join(f'{count} {language}' for language, count in found.questions.items())}"]
    if found.left:
        few = ", ".join(f"{count} {language}" for language, count in found.left.items())
        lines.append(f"Too few to tune with, weights stay: {few}")
    if found.tuning is None:
        lines.append(f"The weights stay: others are no better on questions they were not fitted on ({gain}).")
    else:
        lines.append(f"Weight of meaning: {_weights(dict(found.tuning.dense))}; before: {_weights(dict(found.before))}")
        lines.append(f"Gain: {gain}")
        lines.append("Run `ragflow ingest` to prove and publish them." if stored else "Nothing was stored.")
    return "\n".join(lines)
