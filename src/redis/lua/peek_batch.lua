-- Looks at many keys in one script: see `run_each`. There is no common argument, because each look has a time of its
-- own where callers have clocks.
local function peek_batch(keys, arguments)
  local replies = run_each(keys, arguments, peek, 2)
  return replies
end
