CREATE ROLE orders_api LOGIN;
CREATE ROLE orders_worker LOGIN;
CREATE ROLE reporting LOGIN;
CREATE ROLE ops LOGIN;
GRANT pg_read_all_stats TO ops;

CREATE TABLE inventory (sku int PRIMARY KEY, stock int NOT NULL, reserved int NOT NULL DEFAULT 0);
INSERT INTO inventory (sku, stock) SELECT n, 1000000 FROM generate_series(1, 60) n;

CREATE TABLE campaigns (code text PRIMARY KEY, ends_at timestamptz NOT NULL);
INSERT INTO campaigns VALUES ('AUTUMN', now() + interval '30 days'), ('SUMMER', now() - interval '60 days');

CREATE TABLE orders (
  id bigserial PRIMARY KEY, sku int NOT NULL, qty int NOT NULL, promo text, status text NOT NULL DEFAULT 'queued',
  attempts int NOT NULL DEFAULT 0, run_at timestamptz NOT NULL DEFAULT now(), claimed_at timestamptz, receipt text);
CREATE INDEX orders_queue ON orders (run_at) WHERE status = 'queued';
CREATE INDEX orders_running ON orders (claimed_at) WHERE status = 'running';

CREATE TABLE sales_history (id bigserial PRIMARY KEY, sku int, qty int, note text);
INSERT INTO sales_history (sku, qty, note) SELECT 1 + n % 60, 1 + n % 5, md5(n::text) FROM generate_series(1, 300000) n;
CREATE TABLE price_import (id bigserial PRIMARY KEY, sku int, price numeric, payload text);

GRANT SELECT, INSERT, UPDATE ON inventory, orders, campaigns TO orders_api, orders_worker, ops;
GRANT SELECT, INSERT, DELETE, TRUNCATE ON price_import TO reporting;
GRANT SELECT ON sales_history, orders, inventory TO reporting;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO orders_api, orders_worker, reporting;

-- Data-changing statements of the API are logged in full; the other roles log slow statements only.
ALTER ROLE orders_api SET log_statement = 'mod';
ALTER ROLE orders_api SET statement_timeout = '4s';
ALTER ROLE orders_worker SET statement_timeout = '4s';
ANALYZE;
