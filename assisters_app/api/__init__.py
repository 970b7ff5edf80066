"""The face for programs: HTTP routes in the OpenAI shapes. Imports no Reflex."""
