#!/usr/bin/env python3
"""Writes metrics.json: what scikit-learn makes of labels and probabilities.

    pip install scikit-learn
    python3 make_metrics.py

Probabilities are multiples of 1/256. Those of an image differ, but in the sets of two classes: there many images have the same.
"""

import json
import pathlib
from typing import Any

import numpy as np
import sklearn
from sklearn import metrics

HERE = pathlib.Path(__file__).resolve().parent


def different(generator: np.random.Generator, labels: np.ndarray, classes: int, never: int | None = None) -> np.ndarray:
    """Of which the label's own is often large. `never` is the smallest one of every image."""
    scores = np.stack([generator.choice(np.arange(1, 200), classes, replace=False) for _ in labels])
    for row, label in zip(scores, labels, strict=True):
        if generator.random() < 0.5:
            largest = row.argmax()
            row[[largest, label]] = row[[label, largest]]
    if never is not None:
        scores[:, never] = 0
    return scores


def two(generator: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    ones = np.clip(generator.integers(2, 11, labels.shape) + 3 * labels, 0, 16) * 16
    ones[ones == 128] = 112
    return np.stack([256 - ones, ones], axis=1)


def means(report: dict[str, Any]) -> dict[str, float]:
    return {name: report[key] for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"))}


def case(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    classes = list(range(scores.shape[1]))
    predicted = scores.argmax(axis=1)
    report = metrics.classification_report(labels, predicted, labels=classes, output_dict=True, zero_division=0)
    expected = {
        "classes": [{**means(report[str(label)]), "images": int(report[str(label)]["support"])} for label in classes],
        "macro": means(report["macro avg"]),
        "weighted": means(report["weighted avg"]),
        "confusion": metrics.confusion_matrix(labels, predicted, labels=classes).tolist(),
    }
    if len(classes) == 2:
        area = metrics.roc_auc_score(labels, scores[:, 1]) if len(set(labels)) == 2 else None
        expected["auc"] = area
    else:
        expected["top"] = [metrics.top_k_accuracy_score(labels, scores, k=k, labels=classes) for k in classes[1:]]
    return {"labels": labels.tolist(), "probabilities": (scores / 256).tolist(), "expected": expected}


def units() -> dict[str, Any]:
    """Four labels of which no image, some images and all images have one; of one that some have nothing is above 1/2."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, (40, 4))
    labels[:, 2], labels[:, 3] = 0, 1
    scores = np.clip(generator.integers(2, 15, labels.shape) + 3 * labels - 2, 0, 16) * 16
    scores[scores == 128] = 112
    scores[:, 1] = scores[:, 1] // 4
    report = metrics.classification_report(labels, scores > 128, output_dict=True, zero_division=0)
    return {
        "labels": labels.tolist(),
        "probabilities": (scores / 256).tolist(),
        "units": [{**means(report[str(unit)]), "images": int(report[str(unit)]["support"])} for unit in range(4)],
        "macro": means(report["macro avg"]),
        "weighted": means(report["weighted avg"]),
        "aucs": [metrics.roc_auc_score(labels[:, unit], scores[:, unit]) if unit < 2 else None for unit in range(4)],
        "mean_absolute_errors": metrics.mean_absolute_error(labels, scores / 256, multioutput="raw_values").tolist(),
        "root_mean_squared_errors": metrics.root_mean_squared_error(labels, scores / 256, multioutput="raw_values").tolist(),
    }


def main() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 4, 40)
    many = generator.integers(0, 12, 60)
    halves = generator.integers(0, 2, 50)
    cases = [
        case(labels, different(generator, labels, 4)),
        case(labels, different(generator, labels, 4, never=2)),
        case(labels % 3, different(generator, labels % 3, 4)),
        case(labels % 3, different(generator, labels % 3, 4, never=3)),
        case(many, different(generator, many, 12)),
        case(halves, two(generator, halves)),
        case(np.ones_like(halves), two(generator, np.ones_like(halves))),
    ]
    text = ",\n".join(json.dumps(one) for one in cases)
    (HERE / "metrics.json").write_text(
        f'{{"scikit-learn": "{sklearn.__version__}", "cases": [\n{text}\n], "units": {json.dumps(units())}}}\n'
    )


if __name__ == "__main__":
    main()
