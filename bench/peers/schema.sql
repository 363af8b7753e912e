-- What a booking system would add to its PostgreSQL to hold spaces.
CREATE TABLE opportunity (
  number   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id       text NOT NULL UNIQUE,
  type     text NOT NULL,
  price    text NOT NULL,
  capacity integer NOT NULL,
  booked   integer NOT NULL DEFAULT 0,
  leased   integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room for the new version of a row beside the old one

CREATE TABLE lease (
  partner     text NOT NULL,
  uuid        uuid NOT NULL,
  opportunity integer NOT NULL,
  spaces      integer NOT NULL,
  expires     timestamptz NOT NULL,
  PRIMARY KEY (uuid, partner, opportunity)
);
CREATE INDEX lease_expiry ON lease (opportunity, expires);

-- The same as the transaction in postgres.py, in one round trip.
CREATE FUNCTION quote(asked_partner text, asked_uuid uuid, asked_id text, wanted integer, seconds integer)
RETURNS TABLE (type text, price text, available integer, granted boolean, expires timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
  found opportunity%ROWTYPE;
  gone  integer;
  had   integer;
  kept  integer;
  until timestamptz;
BEGIN
  SELECT * INTO found FROM opportunity o WHERE o.id = asked_id FOR UPDATE;
  WITH dropped AS (
    DELETE FROM lease l
    WHERE l.opportunity = found.number AND l.expires <= clock_timestamp() RETURNING l.spaces
  )
  SELECT coalesce(sum(dropped.spaces), 0) INTO gone FROM dropped;
  SELECT coalesce(sum(l.spaces), 0) INTO had FROM lease l
  WHERE l.uuid = asked_uuid AND l.partner = asked_partner AND l.opportunity = found.number;
  available := found.capacity - found.booked - found.leased + gone + had;
  granted := wanted <= available;
  kept := CASE WHEN granted THEN wanted ELSE least(had, wanted) END;
  until := clock_timestamp() + make_interval(secs => seconds);
  INSERT INTO lease AS l VALUES (asked_partner, asked_uuid, found.number, kept, until)
  ON CONFLICT ON CONSTRAINT lease_pkey DO UPDATE SET spaces = excluded.spaces, expires = excluded.expires;
  UPDATE opportunity o SET leased = found.leased - gone - had + kept WHERE o.number = found.number;
  RETURN QUERY SELECT found.type, found.price, available, granted, until;
END $$;
