"""One detector, one function; the catalogue lists them."""
