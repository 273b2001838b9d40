"""`bench push` and `bench pull`: results in a dataset repository of the Hugging Face hub."""
