-- What a server needs to look after itself. The same column types as in the first migration.

-- Written now and then where nothing else is, to know that the database can be written. It says nothing.
CREATE TABLE write_probe (
    id     BIGINT NOT NULL PRIMARY KEY,
    filler TEXT   NOT NULL
);
INSERT INTO write_probe (id, filler) VALUES (1, '');

-- The newest time that a server with a trusted clock has seen, one row: a clock that is far from it has
-- jumped, or nobody ran for as long.
CREATE TABLE server_clock (
    id           BIGINT NOT NULL PRIMARY KEY,
    confirmed_at BIGINT NOT NULL
);
