"""The pages of a small shop, to which the rows of task sets point."""

from __future__ import annotations

PAGES = {
    "/": (200, "<title>Mugs</title><h1>Red mug</h1><p>$12</p><a href='/order'>Order</a>"),
    "/order": (
        200,
        "<title>Order</title><form method=post action='/orders?draft=0'>"
        "<input name=sku value=R1 aria-label=Sku><button>Send</button></form>",
    ),
    "/orders": (302, ""),
    "/thanks": (200, "<title>Thanks</title>Thank you"),
    "/cart": (
        200,
        "<title>Cart</title><button onclick=\"fetch('/api/carts/bWluZT0xJm89Mg==/7?page=3',"
        "{method:'POST', body: JSON.stringify({item: {sku: 'R1', wait: '90 min'}, as: null}),"
        "headers: {'Content-Type': 'application/json'}})\">Buy</button>",
    ),
    "/api/carts/bWluZT0xJm89Mg==/7": (200, '{"count": 1, "items": [{"name": "Red mug"}]}'),
    "/framed": (
        200,
        "<title>All mugs</title><iframe src='/thanks'></iframe>"
        "<a href='/cart' target=_blank>Cart</a>",
    ),
    "/refund": (
        200,
        "<title>Refund</title><form method=post action='http://127.0.0.1:9/dummy_bin'>"
        "<input name=why value='It broke' aria-label=Why><button>Send</button></form>",
    ),
    "/blocked": (403, "<title>Attention</title><p>Please verify you are human.</p>"),
    "/parts": (200, "<h1>Shop</h1><iframe src='//localhost:PORT/thanks'></iframe>"),
}
