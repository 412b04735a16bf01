"""The mathematics of a small character-level language model: what it predicts, how it errs, how it learns.

Knows: the network of Bengio et al., "A Neural Probabilistic Language Model" (2003), with characters for words
and without its direct connections; its gradients by hand; Adam (Kingma and Ba, 2014). Shapes are named
B (batch), C (context), V (vocabulary), D (embedding), H (hidden).

Refuses to know: files, checkpoints, clocks, and any randomness but the generator that it is handed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Arrays = dict[str, Floats]

CONTEXT = 16
EMBEDDING = 24
HIDDEN = 256
LEARNING_RATE = 4e-3
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8  # beta 1, beta 2 and epsilon of the Adam paper


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight, for a vocabulary of V characters."""
    return {
        "embedding": (vocabulary, EMBEDDING),
        "hidden": (CONTEXT * EMBEDDING, HIDDEN),
        "hidden_bias": (HIDDEN,),
        "output": (HIDDEN, vocabulary),
        "output_bias": (vocabulary,),
    }


def first_weights(vocabulary: int, generator: np.random.Generator) -> Arrays:
    """Normal with variance 1 / inputs (the embedding: 1), biases zero, in float32."""
    weights: Arrays = {}
    for name, shape in shapes(vocabulary).items():
        if name.endswith("bias"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            scale = 1.0 if name == "embedding" else shape[0] ** -0.5
            weights[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    return weights


def zeros_like(weights: Arrays) -> Arrays:
    return {name: np.zeros_like(weight) for name, weight in weights.items()}


def windows(text: Integers) -> tuple[Integers, Integers]:
    """Every place of a text as (contexts: N x C, the character that follows: N)."""
    contexts = np.lib.stride_tricks.sliding_window_view(text[:-1], CONTEXT)
    return contexts, text[CONTEXT:]


def loss_and_gradients(weights: Arrays, contexts: Integers, targets: Integers) -> tuple[float, Arrays]:
    """Mean cross entropy in nats per character over (B x C, B), and its derivative by every weight."""
    batch = len(targets)
    inputs, hidden, scores = _forward(weights, contexts)
    log_probabilities = _log_softmax(scores)
    loss = -float(np.mean(log_probabilities[np.arange(batch), targets], dtype=np.float64))

    to_scores = np.exp(log_probabilities)
    to_scores[np.arange(batch), targets] -= 1
    to_scores /= batch
    to_hidden = (to_scores @ weights["output"].T) * (1 - hidden * hidden)
    to_inputs = (to_hidden @ weights["hidden"].T).reshape(-1, weights["embedding"].shape[1])
    chosen = np.zeros((contexts.size, len(weights["embedding"])), to_inputs.dtype)  # one-hot: (B C) x V
    chosen[np.arange(contexts.size), contexts.reshape(-1)] = 1
    return loss, {
        "embedding": chosen.T @ to_inputs,
        "hidden": inputs.T @ to_hidden,
        "hidden_bias": to_hidden.sum(axis=0),
        "output": hidden.T @ to_scores,
        "output_bias": to_scores.sum(axis=0),
    }


def mean_loss(weights: Arrays, contexts: Integers, targets: Integers, chunk: int = 2048) -> float:
    """Mean cross entropy in nats per character, `chunk` places at a time so that memory stays small."""
    total = 0.0
    for first in range(0, len(targets), chunk):
        _, _, scores = _forward(weights, contexts[first : first + chunk])
        wanted = targets[first : first + chunk]
        log_probabilities = _log_softmax(scores)[np.arange(len(wanted)), wanted]
        total -= float(np.sum(log_probabilities, dtype=np.float64))
    return total / len(targets)


def adam(weights: Arrays, gradients: Arrays, first: Arrays, second: Arrays, step: int) -> None:
    """One Adam update in place of the weights and both moments. `step` counts from 1."""
    rate = LEARNING_RATE * (1 - SECOND_DECAY**step) ** 0.5 / (1 - FIRST_DECAY**step)
    for name, gradient in gradients.items():
        first[name] += (1 - FIRST_DECAY) * (gradient - first[name])
        second[name] += (1 - SECOND_DECAY) * (gradient * gradient - second[name])
        weights[name] -= rate * first[name] / (np.sqrt(second[name]) + EPSILON)


def continue_text(
    weights: Arrays, context: Integers, length: int, generator: np.random.Generator, temperature: float = 0.7
) -> list[int]:
    """Draw `length` characters, one after the other, behind a context of C characters."""
    seen = [int(character) for character in context]
    for _ in range(length):
        _, _, scores = _forward(weights, np.array([seen[-CONTEXT:]], np.int64))
        cumulated = np.cumsum(np.exp(_log_softmax(scores[0].astype(np.float64) / temperature)))
        drawn = int(np.searchsorted(cumulated, generator.random()))
        seen.append(min(drawn, len(cumulated) - 1))  # rounding may leave the last sum just below 1
    return seen[len(context) :]


def _forward(weights: Arrays, contexts: Integers) -> tuple[Floats, Floats, Floats]:
    """Inputs B x (C D), hidden units B x H and scores B x V."""
    inputs = weights["embedding"][contexts].reshape(len(contexts), -1)
    hidden = np.tanh(inputs @ weights["hidden"] + weights["hidden_bias"])
    return inputs, hidden, hidden @ weights["output"] + weights["output_bias"]


def _log_softmax(scores: Floats) -> Floats:
    shifted: Floats = scores - scores.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
