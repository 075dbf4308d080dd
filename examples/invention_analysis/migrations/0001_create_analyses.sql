-- Every analysis with its stage, and what its stages found. Keys are natural, so that writing the
-- same thing twice (a step may run twice) leaves the same rows.

CREATE TABLE IF NOT EXISTS analyses (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    analyst TEXT,
    error TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS features (
    analysis_id TEXT NOT NULL REFERENCES analyses (id),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    description TEXT NOT NULL,
    keywords TEXT NOT NULL,
    PRIMARY KEY (analysis_id, name)
);

CREATE TABLE IF NOT EXISTS prior_art (
    analysis_id TEXT NOT NULL REFERENCES analyses (id),
    number TEXT NOT NULL,
    title TEXT NOT NULL,
    year INTEGER NOT NULL,
    score REAL NOT NULL,
    relevance TEXT,
    assessment TEXT,
    failure TEXT,
    PRIMARY KEY (analysis_id, number)
);

CREATE TABLE IF NOT EXISTS reports (
    analysis_id TEXT PRIMARY KEY REFERENCES analyses (id),
    markdown TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS analyses_by_creation ON analyses (created_at DESC, id);
