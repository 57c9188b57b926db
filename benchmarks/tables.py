"""Small tables of real columns: held-out log p(x) of the default VAE beside scikit-learn's linear models, and its cost.

Shuffled 5-fold; the VAE's figure is a lower bound, one draw of z a row, the others' are exact. Nats per row, in the
units of the columns. Factor analysis has no floor for the noise of a column that hardly varies, hence its figure on
digits.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from common import parser, show
from sklearn import datasets
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import KFold

from zatlas import VAE

TABLES = ("iris", "wine", "breast_cancer", "digits")


def main() -> None:
    p = parser(__doc__ or "")
    p.add_argument("--latent-dim", type=int, default=VAE().latent_dim, help="of all three (default: the VAE's)")
    arguments = p.parse_args()
    d = arguments.latent_dim
    VAE(steps=1).fit(datasets.load_iris().data)  # so that the first table does not pay for imports
    rows = []
    for name in TABLES:
        x = getattr(datasets, f"load_{name}")().data
        found: dict[str, list[float]] = {"VAE": [], "PCA": [], "factor analysis": [], "seconds": []}
        for train, test in KFold(5, shuffle=True, random_state=0).split(x):
            start = time.process_time()
            vae = VAE(latent_dim=d).fit(x[train])
            found["seconds"].append(time.process_time() - start)
            found["VAE"].append(vae.score(x[test]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # factor analysis that has not converged
                found["PCA"].append(PCA(d).fit(x[train]).score(x[test]))
                found["factor analysis"].append(FactorAnalysis(d).fit(x[train]).score(x[test]))
        means = {key: float(np.mean(values)) for key, values in found.items() if key != "seconds"}
        cost = float(np.median(found["seconds"]))
        rows.append({"table": name, "rows": len(x), "columns": x.shape[1], **means, "CPU seconds a fit": cost})
    show(f"Held-out log p(x), z = {d}, mean of five folds", rows, arguments.json)


if __name__ == "__main__":
    main()
