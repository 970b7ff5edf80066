"""The metered path of one API call: catalog, admission, upstream or sandbox, settlement."""
