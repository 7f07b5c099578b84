-- Forgets what a key has used. Replies with the total that it had.
local clock_ms = ARGV[3]
-- include window
local previous = total
-- include forget
-- include save
return exact:format(previous)
