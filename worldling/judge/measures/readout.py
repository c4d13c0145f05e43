"""The readout: a logistic regression, its regularisation chosen by cross-validation.

As in Physion (arXiv 2106.08261): features are standardised, the penalty is chosen by 5-fold cross-validation,
and a pair of trials never lies on both sides of a fold. Long features are reduced first, to `COMPONENTS`.
"""

from __future__ import annotations

import numpy as np

from worldling.errors import JudgeError

PENALTIES = np.logspace(-4, 1, 6)  # of sklearn's C: smaller is stricter
FOLDS = 5
COMPONENTS = 64  # that are kept of long features; Physion keeps all, which was worth 1 point on 360 trials of ours


class Readout:
    """A fitted readout.

    Fitted on features `[n, F]`, answers `[n]` (bool, or numbers of several) and groups `[n]` (trials of one pair share
    theirs). Raises `JudgeError` without scikit-learn.
    """

    def __init__(self, features: np.ndarray, answers: np.ndarray, groups: np.ndarray) -> None:
        try:
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import GridSearchCV, GroupKFold
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
        except ImportError as error:
            raise _missing(error) from None
        folds = list(GroupKFold(FOLDS).split(features, answers, groups))
        logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        self.model = GridSearchCV(logistic, {"logisticregression__C": PENALTIES}, cv=folds)
        self.model.fit(np.nan_to_num(features), answers)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Answer for features `[n, F]`: one of the answers fitted on each, `[n]`."""
        answers: np.ndarray = self.model.predict(np.nan_to_num(features))
        return answers


def reduce(fit: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project long features `[n, F]` and `[m, F]` on the first principal components of `fit`: `[n, K]` and `[m, K]`.

    K is COMPONENTS, or less if n or F is. The same features give the same components.
    """
    try:
        from sklearn.decomposition import PCA
    except ImportError as error:
        raise _missing(error) from None
    fit, test = _finite(fit), _finite(test)
    components = PCA(min(COMPONENTS, *fit.shape), svd_solver="randomized", random_state=0).fit(fit)
    return components.transform(fit), components.transform(test)


def _finite(features: np.ndarray) -> np.ndarray:
    features = features.astype(np.float32)
    return features if np.isfinite(features).all() else np.nan_to_num(features, copy=False, posinf=0.0, neginf=0.0)


def folds(answers: np.ndarray, groups: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split items into FOLDS parts with about the same share of right answers: (rows to fit on, rows to test on).

    A group never lies on both sides. Each item is tested on once.
    """
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise _missing(error) from None
    return list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(answers, answers, groups))


def _missing(error: ImportError) -> JudgeError:
    return JudgeError(
        f'`scikit-learn` must be installed for readouts, got none ({error}). Run pip install "worldling[physics]".'
    )
