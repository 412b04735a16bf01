"""scikit-learn's example of out-of-core learning with `partial_fit`, its printed lines; kept with joblib as its
guide to persistence has it."""

import argparse
import os
import time

import joblib
import numpy
from sklearn.linear_model import SGDClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="model.joblib")
parser.add_argument("--minibatches", type=int, default=300)
parser.add_argument("--rows", type=int, default=4000)
options = parser.parse_args()


def minibatch(number: int):
    rng = numpy.random.default_rng(number)
    x = rng.random((options.rows, 60))
    return x, (x[:, :30].sum(1) > x[:, 30:].sum(1)).astype(int)


done, classifier = 0, SGDClassifier(loss="log_loss", random_state=0)
if os.path.exists(options.model):
    done, classifier = joblib.load(options.model)
    print(f"continuing after minibatch {done}")
held_out, begun = minibatch(10**6), time.time()
for number in range(done + 1, options.minibatches + 1):
    classifier.partial_fit(*minibatch(number), classes=[0, 1])
    if number % 5 == 0:
        docs, spent = number * options.rows, time.time() - begun
        accuracy = classifier.score(*held_out)
        print(
            f"{'SGD':>20} classifier : \t{docs:6d} train docs ({docs // 2:6d} positive) {options.rows:6d} test docs "
            f"({options.rows // 2:6d} positive) accuracy: {accuracy:.5f} in {spent:.2f}s ({docs / spent:.0f} docs/s)"
        )
    if number % 50 == 0:
        joblib.dump((number, classifier), options.model + ".new")
        os.replace(options.model + ".new", options.model)
