"""JAX's examples/mnist_classifier_fromscratch.py (`--style plain`) and Flax's MNIST example (`--style flax`)."""

import argparse
import logging
import time

import jax
import jax.numpy as jnp
import optax

parser = argparse.ArgumentParser()
parser.add_argument("--style", default="plain")
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--batches", type=int, default=60)
parser.add_argument("--every", type=int, default=20)
options = parser.parse_args()
key = jax.random.PRNGKey(0)
params = {"w": jax.random.normal(key, (784, 10)) * 0.01, "b": jnp.zeros(10)}
optimizer = optax.sgd(0.1, momentum=0.9)
state = optimizer.init(params)


def loss_of(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(x @ params["w"] + params["b"], y).mean()


@jax.jit
def update(params, state, x, y):
    loss, grads = jax.value_and_grad(loss_of)(params, x, y)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


form = "%(levelname).1s%(asctime)s %(process)d %(filename)s:%(lineno)d] %(message)s"
logging.basicConfig(level=logging.WARNING, format=form)
log = logging.getLogger("train")
log.setLevel(logging.INFO)
step = 0
for epoch in range(options.epochs):
    start = time.time()
    for batch in range(options.batches):
        x = jax.random.normal(jax.random.PRNGKey(batch), (128, 784))
        y = jax.random.randint(jax.random.PRNGKey(batch + 1), (128,), 0, 10)
        params, state, loss = update(params, state, x, y)
        step += 1
        if options.style == "steps" and step % options.every == 0:
            log.info("[%d] accuracy=%.5f, learning_rate=0.1, loss=%.6f", step, 0.1, float(loss))
    if options.style == "plain":
        print(f"Epoch {epoch} in {time.time() - start:0.2f} sec")
        print(f"Training set accuracy {0.1 * (1 + epoch % 9)}")
        print("Test set accuracy 0.1")
    if options.style == "flax":
        log.info(
            "epoch:% 3d, train_loss: %.4f, train_accuracy: %.2f, test_loss: %.4f, test_accuracy: %.2f",
            epoch, float(loss), 10.0, float(loss) + 0.1, 10.0,
        )  # fmt: skip
