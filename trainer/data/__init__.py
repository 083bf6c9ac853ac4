"""From files to encoded reviews: tables, labels, splits, downloads, word vectors, batches."""
