-- What the examples' steps on PostgreSQL work on: a shop's and a library's own tables.
DROP TABLE IF EXISTS stock, orders, library, accounts;
CREATE TABLE stock (sku text PRIMARY KEY, pieces integer NOT NULL CHECK (pieces >= 0));
INSERT INTO stock VALUES ('tea', 10);
CREATE TABLE orders (id text PRIMARY KEY, sku text NOT NULL, pieces integer NOT NULL, receipt text, parcel text);
CREATE TABLE library (document_id text PRIMARY KEY, shelf text NOT NULL, version uuid NOT NULL);
CREATE TABLE accounts (name text PRIMARY KEY, number integer GENERATED ALWAYS AS IDENTITY, mail text NOT NULL);
