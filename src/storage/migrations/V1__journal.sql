-- Every record of every run, in order. Rows are only ever added.
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,   -- 1, 2, 3, ... without a gap
    tick     INTEGER NOT NULL,
    lane     INTEGER NOT NULL,      -- 0 state, 1 stream
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    record   BLOB    NOT NULL,      -- canonical CBOR of the record
    chain    BLOB    NOT NULL       -- BLAKE3 over the previous chain value and all columns above
) STRICT;

-- The last row as of the last commit: a journal whose end is missing does not agree with it.
CREATE TABLE journal_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    chain    BLOB    NOT NULL
) STRICT;

-- The newest of what each source said about each subject on the state lane. An empty source is this node.
-- For other nodes (major, minor) is (epoch, sequence), for this node the hybrid time; both are unsigned 64 bit.
-- The check is BLAKE3 over all other columns of the row: these rows are believed at a start and are in no chain.
CREATE TABLE retained (
    source  BLOB    NOT NULL,
    subject TEXT    NOT NULL,
    major   INTEGER NOT NULL,
    minor   INTEGER NOT NULL,
    bytes   BLOB    NOT NULL,
    "check" BLOB    NOT NULL,
    PRIMARY KEY (source, subject)
) STRICT, WITHOUT ROWID;

-- How far each source has been heard on each lane; the numbers are unsigned 64 bit. The check is as above.
CREATE TABLE mark (
    source  BLOB    NOT NULL,
    lane    INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    next    INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    "check" BLOB    NOT NULL,
    PRIMARY KEY (source, lane)
) STRICT, WITHOUT ROWID;
