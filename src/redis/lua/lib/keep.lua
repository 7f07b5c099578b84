-- keep_ms: longer than a bucket that begins now, and every hit in it, is live. A caller's clock may stand still while
-- the server's goes on, so what it drives has a minute to spare.
keep_ms = math.ceil(window_ms + bucket_ms) + (clock_ms and 60000 or 0)
