"""Texts → vectors.

- ``model_folder``  a model's name → its folder; the folder's fingerprint
- ``model_shape``   length of the vectors and prompts, from the folder's files
- ``tokenizer``     counts tokens as the model does, without loading it
- ``precision``     float32 or bfloat16
- ``dense``         :class:`~ragflow.embedding.dense.DenseEmbedder`: any sentence-transformers model
- ``sparse``        :class:`~ragflow.embedding.sparse.SparseEmbedder`: BM25

Import from the modules: ``sparse`` needs the BM25 library, ``dense`` loads its libraries on first use.
"""
