CREATE SCHEMA whittle;
CREATE TABLE whittle.version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL
);
CREATE TABLE whittle.rollout (
    id   integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE
);
CREATE TABLE whittle.entry (
    rollout  integer NOT NULL REFERENCES whittle.rollout (id),
    sequence bigint NOT NULL CHECK (sequence >= 0),
    entry    text NOT NULL,
    hash     bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (rollout, sequence)
);
CREATE TABLE whittle.quarantine (
    build    text PRIMARY KEY,
    rollout  integer NOT NULL REFERENCES whittle.rollout (id),
    sequence bigint NOT NULL
);
CREATE FUNCTION whittle.stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what is in a log stays as it is'; END
$$;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.rollout EXECUTE FUNCTION whittle.stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.entry EXECUTE FUNCTION whittle.stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON whittle.quarantine EXECUTE FUNCTION whittle.stays();
CREATE FUNCTION whittle.comes_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.sequence <> (SELECT coalesce(max(sequence) + 1, 0) FROM whittle.entry WHERE rollout = NEW.rollout) THEN
            RAISE EXCEPTION 'a log grows by one entry after the other';
        END IF;
        RETURN NEW;
    END
$$;
CREATE TRIGGER comes_next BEFORE INSERT ON whittle.entry FOR EACH ROW EXECUTE FUNCTION whittle.comes_next();
