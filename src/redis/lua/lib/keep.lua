-- keep_ms: longer than a bucket that begins now, every hit in it, and every lease is live. A caller's clock may stand
-- still while the server's goes on, so what it drives has a minute to spare.
keep_ms = math.ceil(math.max(window_ms + bucket_ms, last_gone_ms - now_ms)) + (clock_ms and 60000 or 0)
