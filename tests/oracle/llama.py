"""llama.cpp as an oracle: a thin layer over the C API that the llama-cpp-python package binds.

One `Peer` is one model with one context. Token ids and positions go in, logits come out as numpy
arrays; nothing here samples. One decode step is one llama_decode call, so Python costs microseconds
beside milliseconds of arithmetic, and the same class serves the speed tables in bench/.
"""

import ctypes
import os
import sys

SKIP = 77  # exit code of a script whose oracle is absent


def require():
    """Imports llama_cpp and numpy, or ends the script with one sentence and the code SKIP."""
    try:
        import llama_cpp
        import numpy
    except ImportError as error:
        print(
            "skipped: this comparison needs the Python packages llama-cpp-python and numpy "
            f"({error}); pip install llama-cpp-python numpy",
            file=sys.stderr,
        )
        sys.exit(SKIP)
    return llama_cpp, numpy


_quiet = None


def silence(lib):
    global _quiet
    if _quiet is None and "LLAMA_VERBOSE" not in os.environ:
        _quiet = lib.llama_log_callback(lambda level, text, data: None)
        lib.llama_log_set(_quiet, ctypes.c_void_p(0))


def version():
    """One line: the package's version and what its CPU backend was compiled for."""
    lib, _ = require()
    silence(lib)
    return (
        f"llama-cpp-python {lib.__version__}; {lib.llama_print_system_info().decode().strip(' |')}"
    )


class Peer:
    """A loaded model and a context of `sequences` sequences with `context` cells in all."""

    def __init__(
        self, path, context=1024, batch=512, sequences=1, threads=2, kv_f32=False, repack=True
    ):
        self.lib, self.np = require()
        silence(self.lib)
        lib = self.lib
        lib.llama_backend_init()
        model_params = lib.llama_model_default_params()
        model_params.use_extra_bufts = repack
        self.model = lib.llama_model_load_from_file(os.fsencode(path), model_params)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        params = lib.llama_context_default_params()
        params.n_ctx = context
        params.n_batch = batch
        params.n_ubatch = batch
        params.n_seq_max = sequences
        params.n_threads = threads
        params.n_threads_batch = threads
        if kv_f32:
            params.type_k = params.type_v = 0  # GGML_TYPE_F32
            params.flash_attn_type = 0  # plain f32 attention
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            lib.llama_model_free(self.model)
            raise RuntimeError(f"llama.cpp cannot make a context of {context} for {path}")
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.n_vocab = lib.llama_vocab_n_tokens(self.vocab)
        self.limit = batch
        self.batch = lib.llama_batch_init(batch, 0, 1)
        view = lambda pointer: self.np.ctypeslib.as_array(pointer, (batch,))
        self._token, self._pos = view(self.batch.token), view(self.batch.pos)
        self._logits = view(self.batch.logits)
        view(self.batch.n_seq_id)[:] = 1
        self._seq = [None] * batch

    def close(self):
        self.lib.llama_batch_free(self.batch)
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    # ---- vocabulary

    def tokenize(self, text, special=False, add_bos=True):
        """Ids of `text` (str or bytes); `special`: <|im_start|> and such become control tokens."""
        data = text.encode() if isinstance(text, str) else text
        room = len(data) + 16
        ids = (self.lib.llama_token * room)()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, room, add_bos, special)
        if count < 0:
            raise RuntimeError("llama_tokenize failed")
        return list(ids[:count])

    def piece(self, token):
        """The bytes of a token; control tokens as their written form."""
        room = ctypes.create_string_buffer(512)
        count = self.lib.llama_token_to_piece(self.vocab, token, room, 512, 0, True)
        return room.raw[: max(count, 0)]

    def is_end(self, token):
        return self.lib.llama_vocab_is_eog(self.vocab, token)

    def bos(self):
        """The token that perplexity windows begin with, or None where the model adds none."""
        add = self.lib.llama_vocab_get_add_bos(self.vocab)
        return self.lib.llama_vocab_bos(self.vocab) if add else None

    # ---- numbers

    def clear(self):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)

    def copy_sequence(self, source, target):
        """Gives the sequence `target` a copy of all that `source` has in the cache."""
        memory = self.lib.llama_get_memory(self.context)
        self.lib.llama_memory_seq_cp(memory, source, target, -1, -1)

    def fill(self, tokens, positions, sequences=0, outputs="last"):
        """Fills the batch. `outputs`: "last", "all", or a flag for every token."""
        count = len(tokens)
        self.batch.n_tokens = count
        self._token[:count] = tokens
        self._pos[:count] = positions
        wanted = [sequences] * count if isinstance(sequences, int) else sequences
        for i in range(count):
            if self._seq[i] != wanted[i]:
                self.batch.seq_id[i][0] = wanted[i]
                self._seq[i] = wanted[i]
        if isinstance(outputs, str):
            self._logits[:count] = 1 if outputs == "all" else 0
            self._logits[count - 1] = 1
        else:
            self._logits[:count] = outputs

    def run(self):
        """One llama_decode over the batch, waited for."""
        code = self.lib.llama_decode(self.context, self.batch)
        if code != 0:
            raise RuntimeError(f"llama_decode gave {code}")
        self.lib.llama_synchronize(self.context)

    def rows(self, count):
        """f32 [count, n_vocab]: a copy of the last run's first `count` output rows."""
        data = self.lib.llama_get_logits(self.context)
        return self.np.ctypeslib.as_array(data, (count * self.n_vocab,)).reshape(count, -1).copy()

    def window(self, tokens):
        """f32 [len(tokens), n_vocab]: logits at every position of one fresh sequence."""
        self.clear()
        parts = []
        for start in range(0, len(tokens), self.limit):
            part = tokens[start : start + self.limit]
            self.fill(part, range(start, start + len(part)), outputs="all")
            self.run()
            parts.append(self.rows(len(part)))
        return self.np.concatenate(parts)


def log_softmax(np, logits):
    """f64, along the last axis."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
