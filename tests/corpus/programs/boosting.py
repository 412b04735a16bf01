"""Gradient boosting as its own examples do it: XGBoost, LightGBM, CatBoost, scikit-learn, each with its own lines.
`--checkpoints` keeps the model on the way and continues it, by what each library offers for that."""

import argparse
import os
import re

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--library", required=True)
parser.add_argument("--rounds", type=int, default=60)
parser.add_argument("--rows", type=int, default=4000)
parser.add_argument("--every", type=int, default=20, help="rounds between two checkpoints")
parser.add_argument("--checkpoints", default="")
options = parser.parse_args()
rng = numpy.random.default_rng(0)
x = rng.random((options.rows, 20))
y = (x[:, 0] + x[:, 1] * x[:, 2] + 0.3 * rng.random(options.rows) > 0.9).astype(int)
half = options.rows // 2


def latest():
    """(the newest model that was kept, its rounds)"""
    names = os.listdir(options.checkpoints) if os.path.isdir(options.checkpoints) else []
    kept = [(int(found[1]), name) for name in names if (found := re.fullmatch(r"model_(\d+)\.\w+", name))]
    rounds, name = max(kept, default=(-1, None))
    return (os.path.join(options.checkpoints, name) if name else None), rounds + 1


if options.library == "xgboost":
    import xgboost

    train, test = xgboost.DMatrix(x[:half], y[:half]), xgboost.DMatrix(x[half:], y[half:])
    parameters = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.1, "nthread": 1}
    model, done = latest()
    check = xgboost.callback.TrainingCheckPoint(options.checkpoints, interval=options.every)
    xgboost.train(
        parameters,
        train,
        options.rounds - done,
        evals=[(train, "train"), (test, "eval")],
        xgb_model=model,
        callbacks=[check] if options.checkpoints else [],
    )
elif options.library == "lightgbm":
    import lightgbm

    def keep(env):
        if options.checkpoints and (env.iteration + 1) % options.every == 0:
            env.model.save_model(f"{options.checkpoints}/model_{env.iteration}.new")
            name = f"{options.checkpoints}/model_{env.iteration}.txt"
            os.replace(f"{options.checkpoints}/model_{env.iteration}.new", name)

    train = lightgbm.Dataset(x[:half], y[:half], free_raw_data=False)
    model, done = latest()
    lightgbm.train(
        {"objective": "binary", "metric": ["binary_logloss", "auc"], "num_threads": 1},
        train,
        options.rounds - done,
        init_model=model,
        valid_sets=[train, lightgbm.Dataset(x[half:], y[half:], reference=train)],
        valid_names=["training", "valid_1"],
        callbacks=[lightgbm.log_evaluation(5), keep],
    )
elif options.library == "catboost":
    import catboost

    snapshot = {"save_snapshot": True, "snapshot_file": "snapshot", "snapshot_interval": 1}
    kept = (
        {**snapshot, "train_dir": options.checkpoints}
        if options.checkpoints
        else {"allow_writing_files": False}
    )
    model = catboost.CatBoostClassifier(iterations=options.rounds, thread_count=1, **kept)
    model.fit(x[:half], y[:half], eval_set=(x[half:], y[half:]))
elif options.library == "sklearn-boosting":
    from sklearn.ensemble import GradientBoostingClassifier

    GradientBoostingClassifier(n_estimators=options.rounds, verbose=2).fit(x, y)
else:
    from sklearn.neural_network import MLPClassifier

    MLPClassifier((64,), max_iter=options.rounds, verbose=True, n_iter_no_change=1000).fit(x, y)
