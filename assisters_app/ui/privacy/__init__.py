"""The screens where a person exercises their rights."""
