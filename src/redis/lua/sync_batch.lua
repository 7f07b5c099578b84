-- The reports about many keys in one script: see `run_each`. The common argument is the time, where the caller gives
-- it.
local function sync_batch(keys, arguments)
  local replies = run_each(keys, arguments, sync, 3)
  return replies
end
