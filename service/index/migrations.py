"""The steps by which a database gets this version's tables; a step that was released never changes.

A space holds the items of one model version; vectors of different spaces are never compared. pgvector indexes
vectors of one dimension, so that each space is a partition with its own vector index. What the steps change
on `items` reaches every partition. Ids sort by bytes, so that ties do not hang on a locale. Vectors stay in
the row (MAIN): an exact scan reads them all, and must not follow a pointer for each.
"""

from typing import LiteralString

_TABLES = """
CREATE TABLE infomax.spaces (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    preprocessing_sha256 text NOT NULL,
    encoder_sha256 text NOT NULL,
    dimensions integer NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, preprocessing_sha256, encoder_sha256)
);
CREATE TABLE infomax.items (
    space integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    embedding vector NOT NULL,
    code vector,
    metadata jsonb NOT NULL,
    width integer,
    height integer,
    format text,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space, id)
) PARTITION BY LIST (space);
ALTER TABLE infomax.items ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX items_metadata ON infomax.items USING gin (metadata jsonb_path_ops);
"""

# Rows of a space are counted by adding up what each statement changed. To count a million rows takes seconds,
# and one row with the number would make writers wait for each other's commits. Triggers count for every
# writer, also for one that uses SQL, and in the writer's own transaction. Those of a partition do not fire
# for statements on the whole table, and the other way round, so both have them.
_COUNTS = """
CREATE TABLE infomax.item_counts (space integer NOT NULL, change bigint NOT NULL);
CREATE INDEX item_counts_space ON infomax.item_counts (space);

CREATE FUNCTION infomax.count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO infomax.item_counts SELECT space, count(*) FROM added GROUP BY space;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO infomax.item_counts SELECT space, -count(*) FROM removed GROUP BY space;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.count_none() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM infomax.item_counts WHERE space = TG_ARGV[0]::integer;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.keep_count(partition regclass, number integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Writers wait until the triggers are there and the rows of before are counted.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', partition);
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = partition AND tgname = 'count_added') THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TRIGGER count_added AFTER INSERT ON %s REFERENCING NEW TABLE AS added '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_added()', partition);
    EXECUTE format('CREATE TRIGGER count_removed AFTER DELETE ON %s REFERENCING OLD TABLE AS removed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_removed()', partition);
    EXECUTE format('CREATE TRIGGER count_none AFTER TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_none(%s)', partition, number);
    DELETE FROM infomax.item_counts WHERE space = number;
    EXECUTE format('INSERT INTO infomax.item_counts SELECT %s, count(*) FROM %s', number, partition);
END $$;

CREATE TRIGGER count_added AFTER INSERT ON infomax.items REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_added();
CREATE TRIGGER count_removed AFTER DELETE ON infomax.items REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_removed();
SELECT infomax.keep_count(to_regclass('infomax.items_' || number), number) FROM infomax.spaces;
"""

# Pictures are compressed already (EXTERNAL), and lie beside the row, which exact scans read without them.
_PICTURES = """
ALTER TABLE infomax.items
    ADD COLUMN thumbnail bytea, ADD COLUMN original bytea, ADD COLUMN original_sha256 bytea;
ALTER TABLE infomax.items
    ALTER COLUMN thumbnail SET STORAGE EXTERNAL, ALTER COLUMN original SET STORAGE EXTERNAL;
"""

# Cells of images, where they are kept. A space gets its partition and its triggers when a server that keeps
# cells opens it; without them nothing is slower. Triggers remove the cells of an item that is removed, or
# stored anew, also by a server that keeps none, or by SQL. Cells are counted as items are.
_CELLS = """
CREATE TABLE infomax.cells (
    space integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    cell smallint NOT NULL,
    local halfvec NOT NULL,
    PRIMARY KEY (space, id, cell)
) PARTITION BY LIST (space);
ALTER TABLE infomax.cells ALTER COLUMN local SET STORAGE MAIN;
CREATE TABLE infomax.cell_counts (space integer NOT NULL, change bigint NOT NULL);
CREATE INDEX cell_counts_space ON infomax.cell_counts (space);

CREATE FUNCTION infomax.count_cells_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO infomax.cell_counts SELECT space, count(*) FROM added GROUP BY space;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.count_cells_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO infomax.cell_counts SELECT space, -count(*) FROM removed GROUP BY space;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.forget_cells_of_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM infomax.%I AS cell USING removed '
                   'WHERE cell.space = removed.space AND cell.id = removed.id', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.forget_cells_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM infomax.%I AS cell USING ('
                   'SELECT space, id, embedding, updated FROM older EXCEPT '
                   'SELECT space, id, embedding, updated FROM newer) AS changed '
                   'WHERE cell.space = changed.space AND cell.id = changed.id', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.forget_all_cells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('TRUNCATE infomax.%I', TG_ARGV[0]);
    DELETE FROM infomax.cell_counts WHERE space = TG_ARGV[1]::integer;
    RETURN NULL;
END $$;

CREATE FUNCTION infomax.watch_items(items regclass, cells name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER forget_removed AFTER DELETE ON %s REFERENCING OLD TABLE AS removed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.forget_cells_of_removed(%L)', items, cells);
    EXECUTE format('CREATE TRIGGER forget_changed AFTER UPDATE ON %s '
                   'REFERENCING OLD TABLE AS older NEW TABLE AS newer '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.forget_cells_of_changed(%L)', items, cells);
END $$;

CREATE FUNCTION infomax.count_cells(cells regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER count_added AFTER INSERT ON %s REFERENCING NEW TABLE AS added '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_cells_added()', cells);
    EXECUTE format('CREATE TRIGGER count_removed AFTER DELETE ON %s REFERENCING OLD TABLE AS removed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION infomax.count_cells_removed()', cells);
END $$;

CREATE FUNCTION infomax.keep_cells(number integer, units integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    items name := 'items_' || number;
    cells name := 'cells_' || number;
BEGIN
    -- Writers wait until the triggers are there; another server that does the same waits too.
    EXECUTE format('LOCK TABLE infomax.%I IN SHARE ROW EXCLUSIVE MODE', items);
    IF to_regclass(format('infomax.%I', cells)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE infomax.%I PARTITION OF infomax.cells '
                   '(CHECK (vector_dims(local) = %s)) FOR VALUES IN (%s)', cells, units, number);
    PERFORM infomax.count_cells(format('infomax.%I', cells)::regclass);
    PERFORM infomax.watch_items(format('infomax.%I', items)::regclass, cells);
    EXECUTE format('CREATE TRIGGER forget_all AFTER TRUNCATE ON infomax.%I FOR EACH STATEMENT '
                   'EXECUTE FUNCTION infomax.forget_all_cells(%L, %s)', items, cells, number);
END $$;

SELECT infomax.count_cells('infomax.cells'::regclass);
SELECT infomax.watch_items('infomax.items'::regclass, 'cells');
"""

# Cells are those of the vector's image: they stay while the vector does, also when an import or a server that
# keeps none stores the image again. A bare vector has none.
_CELLS_OF_VECTORS = """
CREATE OR REPLACE FUNCTION infomax.forget_cells_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM infomax.%I AS cell USING ('
                   'SELECT older.space, older.id FROM older LEFT JOIN newer USING (space, id) '
                   'WHERE newer.embedding IS DISTINCT FROM older.embedding OR newer.width IS NULL'
                   ') AS changed WHERE cell.space = changed.space AND cell.id = changed.id', TG_ARGV[0]);
    RETURN NULL;
END $$;
"""

MIGRATIONS: tuple[LiteralString, ...] = (_TABLES, _COUNTS, _PICTURES, _CELLS, _CELLS_OF_VECTORS)
