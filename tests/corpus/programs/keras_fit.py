"""Keras's `simple MNIST convnet`, on numbers made here: fit with validation, then evaluate and predict;
`--backup` with the callback BackupAndRestore."""

import argparse
import os

parser = argparse.ArgumentParser()
parser.add_argument("--backend", default="jax")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batches", type=int, default=100)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--verbose", type=int, default=1)
parser.add_argument("--backup", default="")
options = parser.parse_args()
os.environ["KERAS_BACKEND"] = options.backend
import keras  # noqa: E402 - the backend is read when keras is imported
import numpy  # noqa: E402 - the backend is read when keras is imported

keras.utils.set_random_seed(0)
x = numpy.random.rand(options.batches * 32, 28, 28, 1).astype("float32")
y = numpy.random.randint(0, 10, options.batches * 32)
if options.backup:
    y = x.reshape(len(x), -1)[:, :10].argmax(1)  # something to learn: a loss that says where it is
layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Flatten(),
        layers.Dense(options.width, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(
    x,
    y,
    batch_size=32,
    epochs=options.epochs,
    validation_data=(x[:640], y[:640]),
    verbose=options.verbose,
    callbacks=[keras.callbacks.BackupAndRestore(options.backup)] if options.backup else [],
)
model.evaluate(x[:640], y[:640], verbose=options.verbose)
model.predict(x[:640], verbose=options.verbose)
