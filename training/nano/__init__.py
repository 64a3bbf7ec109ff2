"""The shipped base policy: generated pages, tokenizer, pre-training."""
