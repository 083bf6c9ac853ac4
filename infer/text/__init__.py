"""From a text to padded token ids: settings, tokenizer, vocabulary, encoding, batches."""
