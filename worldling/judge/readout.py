"""The readout: a logistic regression, its regularisation chosen by cross-validation.

As in Physion (arXiv 2106.08261): features are standardised, the penalty is chosen by 5-fold cross-validation,
and a pair of trials never lies on both sides of a fold.
"""

from __future__ import annotations

import numpy as np

from worldling.errors import JudgeError

PENALTIES = np.logspace(-4, 1, 6)  # of sklearn's C: smaller is stricter
FOLDS = 5


class Readout:
    """Fit on features `[n, F]`, answers `[n]` (bool, or numbers of several) and groups `[n]` (trials of one pair share theirs)."""

    def __init__(self, features: np.ndarray, answers: np.ndarray, groups: np.ndarray) -> None:
        try:
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import GridSearchCV, GroupKFold
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
        except ImportError as error:
            raise JudgeError(
                f"`suite` must find scikit-learn for its readouts, got none ({error}). Run pip install \"worldling[physics]\"."
            ) from None
        folds = list(GroupKFold(FOLDS).split(features, answers, groups))
        logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        self.model = GridSearchCV(logistic, {"logisticregression__C": PENALTIES}, cv=folds)
        self.model.fit(np.nan_to_num(features), answers)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Answer for features `[n, F]`: one of the answers fitted on each, `[n]`."""
        return self.model.predict(np.nan_to_num(features))
