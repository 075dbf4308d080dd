-- What a D1 database remembers about its migrations; another table may stand for `d1_migrations`.
-- The order counts: make the table, list what was applied, remember one.

CREATE TABLE IF NOT EXISTS d1_migrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
);

SELECT name FROM d1_migrations;

INSERT INTO d1_migrations (name) VALUES (?);
