-- wait: wait_ms as it is replied, exactly on a caller's clock. The server's counts in microseconds, and whole
-- numbers cost a tenth of text.
local wait = clock_ms and exact:format(wait_ms) or math.ceil(wait_ms * 1000)
