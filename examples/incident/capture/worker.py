#!/usr/bin/env python3
"""The system under observation: a small order service. One file, several programs, chosen by the first argument.

  api       HTTP service; puts orders into the queue        worker    takes orders from the queue
  traffic   HTTP clients of the api                          deployer  runs and replaces workers, scales them
  monitor   samples sessions, connections and the disk       report    heavy read-only queries
  import    bulk load of prices

Every line printed states something this process did or measured. Needs psycopg2 (Debian: python3-psycopg2).
"""
import argparse, hashlib, http.client, json, os, random, re, signal, subprocess, sys, threading, time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

out_lock = threading.Lock()
stop = threading.Event()
NAME = ""


def log(level, part, message):
    message = " | ".join(s.strip() for s in str(message).strip().splitlines() if s.strip())
    with out_lock:
        t = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % (int(t * 1000) % 1000)
        sys.stdout.write(f"{stamp} {level:<5} [{NAME}] {part}: {message}\n")
        sys.stdout.flush()


def ms(since):
    return (time.monotonic() - since) * 1000


def every(seconds, action):
    def loop():
        while not stop.wait(seconds):
            action()
    threading.Thread(target=loop, daemon=True).start()


def connect(user, name=None, autocommit=False, timeout=5):
    c = psycopg2.connect(host="127.0.0.1", port=A.db_port, dbname="orders", user=user,
                         application_name=name or NAME, connect_timeout=timeout)
    c.autocommit = autocommit
    return c


class PoolTimeout(Exception):
    pass


class Pool:
    """A fixed upper bound of connections, opened when first needed, closed after some idle time."""

    def __init__(self, user, size, wait, keep=3, idle_after=15):
        self.user, self.size, self.wait, self.keep, self.idle_after = user, size, wait, keep, idle_after
        self.cond = threading.Condition()
        self.idle, self.used, self.total, self.waiting = deque(), {}, 0, 0
        every(2, self.report)

    def get(self, purpose):
        begun = time.monotonic()
        with self.cond:
            while not self.idle and self.total >= self.size:
                left = self.wait - (time.monotonic() - begun)
                if left <= 0:
                    raise PoolTimeout(f"no connection after {ms(begun):.0f} ms for {purpose} ({self.state()})")
                self.waiting += 1
                try:
                    self.cond.wait(left)
                finally:
                    self.waiting -= 1
            if self.idle:
                conn = self.idle.pop()[0]
                self.used[conn] = [purpose, time.monotonic(), False]
                return conn
            self.total += 1
        try:
            conn = connect(self.user)
        except psycopg2.Error:
            with self.cond:
                self.total -= 1
                self.cond.notify()
            raise
        with self.cond:
            self.used[conn] = [purpose, time.monotonic(), False]
        return conn

    def put(self, conn):
        if not conn.closed:
            try:
                conn.rollback()
            except psycopg2.Error:
                conn.close()
        with self.cond:
            self.used.pop(conn, None)
            if conn.closed:
                self.total -= 1
            else:
                self.idle.append((conn, time.monotonic()))
            self.cond.notify()

    def state(self):
        return f"in_use={len(self.used)} idle={len(self.idle)} waiting={self.waiting} max={self.size}"

    def report(self):
        close = []
        with self.cond:
            state, waiting = self.state(), self.waiting
            while len(self.idle) > 0 and self.total > self.keep and time.monotonic() - self.idle[0][1] > self.idle_after:
                close.append(self.idle.popleft()[0])
                self.total -= 1
            late = [u for u in self.used.values() if not u[2] and time.monotonic() - u[1] > 10]
            for u in late:
                u[2] = True
        log("WARN" if waiting else "INFO", "pool", state)
        for u in late:
            log("WARN", "pool", f"connection checked out {ms(u[1]) / 1000:.1f} s ago by {u[0]} has not been returned")
        for c in close:
            c.close()

    def shut(self):
        with self.cond:
            for c, _ in self.idle:
                c.close()


def self_check(pool):
    begun = time.monotonic()
    try:
        conn = pool.get("health check")
        try:
            conn.cursor().execute("SELECT 1")
        finally:
            pool.put(conn)
        log("INFO", "health", f"ok, database round trip {ms(begun):.1f} ms")
        return True
    except (PoolTimeout, psycopg2.Error) as e:
        log("ERROR", "health", f"failing: {e}")
        return False


# ---------------------------------------------------------------- worker

def run_worker():
    pool = Pool("orders_worker", A.pool, wait=3)
    log("INFO", "main", f"started release={A.release} threads={A.threads} pool_max={A.pool}")
    every(5, lambda: self_check(pool))
    threads = [threading.Thread(target=job_loop, args=(pool,), daemon=True) for _ in range(A.threads)]
    for t in threads:
        t.start()
    stop.wait()
    log("INFO", "main", f"stopping release={A.release} ({pool.state()})")
    until = time.monotonic() + 1.5
    for t in threads:
        t.join(max(0, until - time.monotonic()))
    pool.shut()
    log("INFO", "main", "stopped")
    os._exit(0)


def job_loop(pool):
    while not stop.is_set():
        try:
            job = claim(pool)
        except (PoolTimeout, psycopg2.Error) as e:
            log("ERROR", "queue", f"could not claim a job: {e}")
            stop.wait(1)
            continue
        if job is None:
            stop.wait(0.2)
            continue
        order, sku, qty, promo, attempt = job
        begun = time.monotonic()
        log("INFO", "job", f"order {order} started sku={sku} qty={qty} attempt={attempt}")
        try:
            if process(pool, order, sku, qty, promo):
                log("INFO", "job", f"order {order} finished in {ms(begun):.0f} ms")
        except (PoolTimeout, psycopg2.Error) as e:
            log("WARN", "job", f"order {order} failed after {ms(begun):.0f} ms: {e}")
            try:
                retry(pool, order, attempt)
            except (PoolTimeout, psycopg2.Error) as e2:
                log("ERROR", "job", f"order {order} could not be put back: {e2}")


def claim(pool):
    conn = pool.get("claim")
    try:
        cur = conn.cursor()
        cur.execute("UPDATE orders SET status = 'running', claimed_at = now(), attempts = attempts + 1 WHERE id = "
                    "(SELECT id FROM orders WHERE status = 'queued' AND run_at <= now() ORDER BY run_at LIMIT 1 "
                    "FOR UPDATE SKIP LOCKED) RETURNING id, sku, qty, promo, attempts")
        row = cur.fetchone()
        conn.commit()
        return row
    finally:
        pool.put(conn)


def process(pool, order, sku, qty, promo):
    conn = pool.get(f"order {order}")
    try:
        cur = conn.cursor()
        if A.release >= "2.4.0" and promo:
            # New in 2.4.0: check the price against the campaign before the stock is booked.
            cur.execute("SELECT stock FROM inventory WHERE sku = %s FOR UPDATE", (sku,))
            cur.execute("SELECT ends_at > now() FROM campaigns WHERE code = %s", (promo,))
            if not cur.fetchone()[0]:
                log("INFO", "price", f"order {order} skipped, campaign {promo} has ended")
                return False  # the injected defect: the transaction stays open, the connection is never returned
        cur.execute("UPDATE inventory SET stock = stock - %s, reserved = reserved - %s WHERE sku = %s", (qty, qty, sku))
        begun = time.monotonic()
        receipt = hashlib.pbkdf2_hmac("sha256", f"{order}:{sku}:{qty}".encode(), b"receipt", 4000).hex()
        signed = ms(begun)
        cur.execute("UPDATE orders SET status = 'done', receipt = %s WHERE id = %s", (receipt, order))
        conn.commit()
        log("DEBUG", "job", f"order {order} receipt {receipt[:12]} signed in {signed:.1f} ms")
    except BaseException:
        pool.put(conn)
        raise
    pool.put(conn)
    return True


def retry(pool, order, attempt):
    conn = pool.get(f"retry of order {order}")
    try:
        delay = min(30, 2 ** attempt)
        conn.cursor().execute("UPDATE orders SET status = 'queued', run_at = now() + %s * interval '1 second' "
                              "WHERE id = %s", (delay, order))
        conn.commit()
        log("INFO", "job", f"order {order} will be retried in {delay} s (attempt {attempt})")
    finally:
        pool.put(conn)


# ---------------------------------------------------------------- api and its clients

def run_api():
    pool = Pool("orders_api", A.pool, wait=3)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body, begun):
            data = json.dumps(body).encode()
            level = "INFO" if status < 500 else "ERROR"
            why = f" ({body['error']})" if "error" in body else ""
            log(level, "http", f"{self.command} {self.path} {status} {ms(begun):.0f}ms{why}")
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                log("WARN", "http", f"{self.command} {self.path} client had gone before the answer")

        def handle_with(self, work):
            begun, conn = time.monotonic(), None
            try:
                conn = pool.get(f"{self.command} {self.path}")
                status, body = work(conn.cursor())
                conn.commit()
            except (PoolTimeout, psycopg2.Error) as e:
                status, body = 503, {"error": " ".join(str(e).split())}
            finally:
                if conn is not None:
                    pool.put(conn)
            self.answer(status, body, begun)

        def do_POST(self):
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def work(cur):
                cur.execute("INSERT INTO orders (sku, qty, promo) VALUES (%s, %s, %s) RETURNING id",
                            (order["sku"], order["qty"], order["promo"]))
                number = cur.fetchone()[0]
                cur.execute("UPDATE inventory SET reserved = reserved + %s WHERE sku = %s", (order["qty"], order["sku"]))
                return 201, {"id": number}
            self.handle_with(work)

        def do_GET(self):
            def work(cur):
                kind, _, key = self.path[1:].partition("/")
                if kind == "orders":
                    cur.execute("SELECT status FROM orders WHERE id = %s", (int(key),))
                elif kind == "stock":
                    cur.execute("SELECT stock - reserved FROM inventory WHERE sku = %s", (int(key),))
                else:
                    cur.execute("SELECT 'ok'")
                row = cur.fetchone()
                return (200, {"value": row[0]}) if row else (404, {})
            self.handle_with(work)

        def log_message(self, *_):
            pass

    log("INFO", "main", f"started release={A.release} pool_max={A.pool}")
    server = ThreadingHTTPServer(("127.0.0.1", A.http_port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    log("INFO", "main", f"stopping ({pool.state()})")
    pool.shut()
    os._exit(0)


def call(method, path, body=None, timeout=6):
    c = http.client.HTTPConnection("127.0.0.1", A.http_port, timeout=timeout)
    try:
        c.request(method, path, json.dumps(body) if body else None)
        r = c.getresponse()
        return r.status, json.loads(r.read())
    finally:
        c.close()


def run_traffic():
    def client(n):
        rnd, mine = random.Random(n), []
        while not stop.wait(rnd.expovariate(A.rate / A.threads)):
            begun, what = time.monotonic(), rnd.random()
            try:
                if what < 0.5 or not mine:
                    promo = "SUMMER" if rnd.random() < 0.09 else "AUTUMN" if rnd.random() < 0.2 else None
                    request = "POST", "/orders", {"sku": rnd.randint(1, 60), "qty": rnd.randint(1, 4), "promo": promo}
                elif what < 0.75:
                    request = "GET", f"/orders/{rnd.choice(mine[-20:])}", None
                else:
                    request = "GET", f"/stock/{rnd.randint(1, 60)}", None
                status, body = call(*request)
                if status == 201:
                    mine.append(body["id"])
                if status >= 500:
                    log("WARN", "client", f"{request[0]} {request[1]} answered {status} after {ms(begun):.0f} ms")
            except OSError as e:
                log("WARN", "client", f"{request[0]} {request[1]} failed after {ms(begun):.0f} ms: {e}")

    log("INFO", "main", f"started clients={A.threads} target={A.rate:g} requests/s")
    for n in range(A.threads):
        threading.Thread(target=client, args=(n,), daemon=True).start()
    stop.wait()
    log("INFO", "main", "stopped")
    os._exit(0)


# ---------------------------------------------------------------- operations

def run_deployer():
    db = connect("ops", autocommit=True)
    running, release, calm = {}, None, None

    def start(name):
        with open(os.path.join(A.logs, name + ".log"), "a") as f:
            running[name] = subprocess.Popen([sys.executable, __file__, "worker", "--name", name, "--release", release,
                                              "--db-port", str(A.db_port), "--pool", "10", "--threads", "5"],
                                             stdout=f, stderr=subprocess.STDOUT)

    def end(name):
        running[name].send_signal(signal.SIGTERM)
        running.pop(name).wait()

    tick = 0
    while not stop.wait(0.5):
        tick += 1
        with open(A.desired) as f:
            wanted = f.read().strip()
        if wanted != release:
            names = sorted(running) or ["orders-worker-1", "orders-worker-2"]
            log("INFO", "rollout", f"orders-worker release {release or 'none'} -> {wanted} ({len(names)} processes)")
            release = wanted
            for name in names:
                if name in running:
                    end(name)
                start(name)
                log("INFO", "rollout", f"{name} started on release {release}")
                stop.wait(1.5)
            log("INFO", "rollout", f"orders-worker release {release} complete")
        if tick % 4 == 0:
            begun = time.monotonic()
            try:
                status = call("GET", "/healthz", timeout=3)[0]
                log("INFO" if status == 200 else "WARN", "check", f"orders-api /healthz {status} in {ms(begun):.0f} ms")
            except OSError as e:
                log("WARN", "check", f"orders-api /healthz failed after {ms(begun):.0f} ms: {e}")
        if tick % 6 == 0:
            cur = db.cursor()
            cur.execute("UPDATE orders SET status = 'queued', run_at = now() WHERE status = 'running' "
                        "AND claimed_at < now() - interval '20 seconds' RETURNING id")
            stale = cur.rowcount
            cur.execute("SELECT count(*) FROM orders WHERE status IN ('queued', 'running')")
            depth = cur.fetchone()[0]
            log("INFO", "queue", f"depth={depth} workers={len(running)}")
            if stale:
                log("WARN", "queue", f"put back {stale} orders that had been running for over 20 s")
            extra = [n for n in sorted(running) if n > "orders-worker-2"]
            calm = None if depth > 20 else calm or time.monotonic()
            if depth > 100 * (1 + 2 * len(extra)) and len(extra) < 2:
                name = f"orders-worker-{3 + len(extra)}"
                log("WARN", "scale", f"queue depth {depth}, adding {name}")
                start(name)
            elif extra and calm and time.monotonic() - calm > 15:
                log("INFO", "scale", f"queue depth {depth}, removing {extra[-1]}")
                end(extra[-1])
    for name in sorted(running):
        end(name)
    log("INFO", "main", "stopped")
    os._exit(0)


def run_monitor():
    db = connect("ops", autocommit=True)

    def sessions():
        cur = db.cursor()
        cur.execute("SELECT count(*), count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle'), "
                    "count(*) FILTER (WHERE state LIKE 'idle in transaction%'), "
                    "count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FILTER (WHERE wait_event_type = 'IO'), "
                    "coalesce(extract(epoch FROM max(now() - state_change) FILTER (WHERE state LIKE 'idle in tr%')), 0) "
                    "FROM pg_stat_activity WHERE backend_type = 'client backend'")
        total, active, idle, idle_tx, lock, io, oldest = cur.fetchone()
        log("INFO", "sessions", f"total={total} active={active} idle={idle} idle_in_transaction={idle_tx} wait_lock={lock} "
            f"wait_io={io} oldest_idle_in_transaction={float(oldest):.1f}s")

    def disk():
        begun = time.monotonic()
        with open(os.path.join(A.logs, "probe.bin"), "wb") as f:
            f.write(os.urandom(65536))
            f.flush()
            os.fsync(f.fileno())
        took = ms(begun)
        log("WARN" if took > 50 else "INFO", "disk", f"64 KiB write and fsync {took:.1f} ms")

    def login():
        begun = time.monotonic()
        try:
            connect("ops", "login-check").close()
            log("INFO", "login", f"new database connection in {ms(begun):.1f} ms")
        except psycopg2.Error as e:
            log("ERROR", "login", f"new database connection refused after {ms(begun):.1f} ms: {e}")

    log("INFO", "main", "started")
    every(3, sessions)
    every(2, disk)
    every(5, login)
    stop.wait()
    log("INFO", "main", "stopped")
    os._exit(0)


# ---------------------------------------------------------------- heavy but harmless

def run_report():
    db, until, n = connect("reporting", autocommit=True), time.monotonic() + A.seconds, 0
    log("INFO", "report", f"nightly sales report started, {A.seconds:g} s budget")
    while time.monotonic() < until and not stop.is_set():
        n += 1
        begun, cur = time.monotonic(), db.cursor()
        cur.execute("SELECT count(*), max(r) FROM (SELECT row_number() OVER (ORDER BY md5(note || %s)) AS r, sku "
                    "FROM sales_history) AS ranked WHERE sku < 50", (str(n),))
        log("INFO", "report", f"section {n}: {cur.fetchone()[0]} rows ranked in {ms(begun):.0f} ms")
        stop.wait(0.7)
    log("INFO", "report", f"report finished, {n} sections")


def run_import():
    db, until, n = connect("reporting", autocommit=True), time.monotonic() + A.seconds, 0
    log("INFO", "import", "price import started")
    db.cursor().execute("TRUNCATE price_import")
    while time.monotonic() < until and not stop.is_set():
        n += 1
        begun, cur = time.monotonic(), db.cursor()
        cur.execute("INSERT INTO price_import (sku, price, payload) SELECT 1 + n %% 60, n * 0.01, repeat(md5(n::text), 8) "
                    "FROM generate_series(1, %s) n", (15000,))
        log("INFO", "import", f"batch {n}: {cur.rowcount} prices written in {ms(begun):.0f} ms")
        stop.wait(0.4)
    log("INFO", "import", f"price import finished, {n} batches")


p = argparse.ArgumentParser()
p.add_argument("role", choices=["worker", "api", "traffic", "deployer", "monitor", "report", "import"])
for flag, kind in {"name": str, "release": str, "logs": str, "desired": str, "db-port": int, "http-port": int,
                   "pool": int, "threads": int, "rate": float, "seconds": float}.items():
    p.add_argument("--" + flag, type=kind)
A = p.parse_args()
NAME = A.name
signal.signal(signal.SIGTERM, lambda *_: stop.set())
signal.signal(signal.SIGINT, lambda *_: stop.set())
globals()["run_" + A.role]()
