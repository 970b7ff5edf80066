"""Products and their prices."""

from stripe import params as p

from assisters_app.doubles.stripe.books import Books, listed, update
from assisters_app.doubles.stripe.calls import Call, found
from assisters_app.doubles.stripe.wire import Thing, WrongError

PRODUCT_FIELDS = ("name", "description", "active", "images", "url", "unit_label", "statement_descriptor")


def create_product(books: Books, params: Thing) -> Thing:
    """Make a product."""
    product = books.make("product", "prod", 14, type="service", default_price=None, **dict.fromkeys(PRODUCT_FIELDS))
    product |= {"active": True, "images": [], "updated": product["created"]}
    update(product, params, *PRODUCT_FIELDS)
    books.note("product.created", product)
    return product


def change_product(books: Books, params: Thing, name: str) -> Thing:
    """Change a product."""
    product = books.find("product", name)
    books.note("product.updated", product, update(product, params, *PRODUCT_FIELDS))
    return product


def list_products(books: Books, params: Thing) -> Thing:
    """Return products, newest first."""
    return listed(books.every("product", active=params.get("active")), params, "/v1/products")


def create_price(books: Books, params: Thing) -> Thing:
    """Make a price of a product, which may be made with it."""
    product = params.get("product")
    if product:
        books.find("product", product, "product")
    elif "product_data" in params:
        product = create_product(books, params["product_data"])["id"]
    else:
        raise WrongError("Missing required param: product.", code="parameter_missing", param="product")
    price = books.make("price", "price", **_terms(params), product=product)
    update(price, params)
    books.note("price.created", price)
    return price


def _terms(params: Thing) -> Thing:
    if params.get("unit_amount") is None:
        raise WrongError("Missing required param: unit_amount.", code="parameter_missing", param="unit_amount")
    recurring = params.get("recurring")
    return {
        "active": params.get("active", True),
        "billing_scheme": "per_unit",
        "currency": params["currency"],
        "lookup_key": params.get("lookup_key"),
        "nickname": params.get("nickname"),
        "recurring": {"interval_count": 1, "usage_type": "licensed", **recurring} if recurring else None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": params["unit_amount"],
        "unit_amount_decimal": str(params["unit_amount"]),
    }


def change_price(books: Books, params: Thing, name: str) -> Thing:
    """Change what may be changed of a price: never its amount."""
    price = books.find("price", name)
    books.note("price.updated", price, update(price, params, "active", "lookup_key", "nickname"))
    return price


def list_prices(books: Books, params: Thing) -> Thing:
    """Return prices, newest first."""
    found = books.every("price", product=params.get("product"), active=params.get("active"))
    if "lookup_keys" in params:
        found = [price for price in found if price["lookup_key"] in params["lookup_keys"]]
    return listed(found, params, "/v1/prices")


CALLS = (
    Call("POST", "/v1/products", create_product, p.ProductCreateParams),
    Call("GET", "/v1/products", list_products, p.ProductListParams),
    Call("GET", "/v1/products/{name}", found("product"), p.ProductRetrieveParams),
    Call("POST", "/v1/products/{name}", change_product, p.ProductUpdateParams),
    Call("POST", "/v1/prices", create_price, p.PriceCreateParams),
    Call("GET", "/v1/prices", list_prices, p.PriceListParams),
    Call("GET", "/v1/prices/{name}", found("price"), p.PriceRetrieveParams),
    Call("POST", "/v1/prices/{name}", change_price, p.PriceUpdateParams),
)
