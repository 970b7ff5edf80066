"""What the API is, as data: the OpenAPI document that the API serves and the reference page draws.

`problems` has every way to be refused, `schemas` every body, `operations` every route; `document` makes OpenAPI 3.1 of
them. Tests hold that what is served is what is written here.
"""
