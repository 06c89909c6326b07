"""Write like Shakespeare, letter by letter, with a small GPT: four Transformer blocks, 817,213 parameters.

It teaches how a language model learns: every window of 64 characters is 64 exercises at once, each to name the next
character from those before it. A causal mask keeps later ones from sight, so one pass trains all 64. Whoever has the
whole of tiny Shakespeare (1.1 MB, in the folder tinyshakespeare of NPDL_DATA) trains on it by --full.

    python examples/char_gpt.py [--steps 400] [--full]
"""

import argparse
import os
import pathlib
import sys

import numpy as np

from npdl import Sequential, layers

parser = argparse.ArgumentParser(description="Train a character GPT on Shakespeare.")
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--full", action="store_true", help="the whole text from $NPDL_DATA/tinyshakespeare/input.txt")
options = parser.parse_args()
must_reach = 2.3  # nats a character of unseen text

source = pathlib.Path(__file__).with_name("shakespeare.txt")
if options.full:
    source = pathlib.Path(os.environ.get("NPDL_DATA", "."), "tinyshakespeare", "input.txt")
text = source.read_text(encoding="utf-8")
letters = sorted(set(text))
number_of = {letter: number for number, letter in enumerate(letters)}
data = np.array([number_of[letter] for letter in text], "int32")
train, test = np.split(data, [len(data) * 9 // 10])
length, batch_size = 64, 12


def windows(data, starts):
    """(inputs, targets): characters from each start on, and the same moved by one."""
    places = starts[:, None] + np.arange(length + 1)
    return data[places[:, :-1]], data[places[:, 1:]]


model = Sequential(
    [
        layers.Input((length,)),
        layers.Embedding(len(letters), 128),
        layers.Residual([layers.PositionEmbedding(length)]),  # what the letter is, and where it stands
        *(layers.TransformerDecoder(512, 4, activation="gelu", normalize_first=True) for _ in range(4)),
        layers.LayerNormalization(epsilon=1e-5),
        layers.Dense(len(letters)),  # a score for each letter that may come next
    ],
    seed=0,
)
model.summary()
model.compile("adam", "sparse_categorical_crossentropy")

rng = np.random.default_rng(0)
x, y = windows(train, rng.integers(0, len(train) - length, options.steps * batch_size))
x_test, y_test = windows(test, np.arange(0, len(test) - length, length))
model.fit(x, y, batch_size=batch_size, epochs=1, shuffle=False)


def continued(text, count):
    """The text and `count` more letters, each drawn by the model's probabilities, not the wildest ones."""
    written = [number_of[letter] for letter in text]
    for _ in range(count):
        window = np.array(written[-length:], "int32")
        padded = np.pad(window, (0, length - len(window)))[None]  # what follows is not seen
        scores = model(padded)[0, len(window) - 1].astype("float64") / 0.8
        chances = np.exp(scores - scores.max())
        written.append(int(rng.choice(len(letters), p=chances / chances.sum())))
    return "".join(letters[number] for number in written)


print(continued("\n", 300))
loss = model.evaluate(x_test, y_test, verbose=0)
print(f"loss on unseen text {loss:.3f} nats a character (must be at most {must_reach})")
if loss > must_reach:
    sys.exit("the loss is too high")
