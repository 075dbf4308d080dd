"""Measurements of Stepwell beside bare sqlite3 and DBOS; `make bench` runs them."""
