-- Forgets a key. Replies with the total that it had.
local clock_ms = ARGV[3]
-- include window
redis.call('DEL', KEYS[1], KEYS[2])
return exact:format(total)
