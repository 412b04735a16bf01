"""Flax's examples (wmt, lm1b): clu's lines of metrics, `checkpoints.restore_checkpoint(workdir)` by itself."""

import argparse
import logging

import jax
import optax
from flax.training import checkpoints, train_state

parser = argparse.ArgumentParser()
parser.add_argument("--workdir", required=True)
parser.add_argument("--num_train_steps", type=int, default=600)
parser.add_argument("--checkpoint_every_steps", type=int, default=100)
parser.add_argument("--log_every_steps", type=int, default=20)
parser.add_argument("--width", type=int, default=512)
options = parser.parse_args()
logging.basicConfig(
    level=logging.WARNING,
    format="%(levelname).1s%(asctime)s %(process)d %(filename)s:%(lineno)d] %(message)s",
)
log = logging.getLogger("train")
log.setLevel(logging.INFO)


def apply(params, x):
    return jax.nn.relu(x @ params["in"]) @ params["out"]


key = jax.random.PRNGKey(0)
params = {
    "in": jax.random.normal(key, (256, options.width)) * 0.05,
    "out": jax.random.normal(key, (options.width, 10)) * 0.05,
}
state = train_state.TrainState.create(apply_fn=apply, params=params, tx=optax.adamw(1e-3))
state = checkpoints.restore_checkpoint(options.workdir, state)
start_step = int(state.step)


@jax.jit
def train_step(state, step):
    x = jax.random.normal(jax.random.fold_in(key, step % 16), (256, 256))
    y = (x[:, :10]).argmax(1)

    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(state.apply_fn(params, x), y).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


log.info("Starting training loop at step %d.", start_step)
for step in range(start_step, options.num_train_steps):
    is_last_step = step == options.num_train_steps - 1
    state, loss = train_step(state, step)
    if step % options.log_every_steps == 0 or is_last_step:
        log.info("[%d] learning_rate=0.001, loss=%.6f", step, float(loss))
    if (step + 1) % options.checkpoint_every_steps == 0 or is_last_step:
        log.info("Saving checkpoint step %d.", step + 1)
        checkpoints.save_checkpoint(options.workdir, state, step + 1, keep=3)
