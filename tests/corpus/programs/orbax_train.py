"""A loop of JAX and optax with Orbax's CheckpointManager, as its own guide has it: it looks for the latest step
itself."""

import argparse

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp

parser = argparse.ArgumentParser()
parser.add_argument("--directory", required=True)
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--save_interval_steps", type=int, default=100)
parser.add_argument("--width", type=int, default=512)
options = parser.parse_args()
key = jax.random.PRNGKey(0)
params = {
    "in": jax.random.normal(key, (256, options.width)) * 0.05,
    "out": jax.random.normal(key, (options.width, 10)) * 0.05,
}
optimizer = optax.adam(1e-3)


@jax.jit
def update(params, state, step):
    x = jax.random.normal(jax.random.fold_in(key, step % 16), (256, 256))

    def loss_fn(params):
        out = jax.nn.relu(x @ params["in"]) @ params["out"]
        return jnp.square(out - x[:, :10]).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


saved = {"params": params, "state": optimizer.init(params)}
keep = ocp.CheckpointManagerOptions(save_interval_steps=options.save_interval_steps, max_to_keep=3)
with ocp.CheckpointManager(options.directory, options=keep) as manager:
    latest = manager.latest_step()
    if latest is not None:
        saved = manager.restore(latest, args=ocp.args.StandardRestore(saved))
    for step in range(0 if latest is None else latest + 1, options.steps):
        new, state, loss = update(saved["params"], saved["state"], step)
        saved = {"params": new, "state": state}
        if step % 10 == 0 or step == options.steps - 1:
            print(f"step: {step}, loss: {loss:.6f}")
        manager.save(step, args=ocp.args.StandardSave(saved))
    manager.wait_until_finished()
