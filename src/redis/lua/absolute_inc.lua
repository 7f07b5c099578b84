-- Decides about a call under the absolute strategy, and records it when it is admitted.
--   ARGV[3] the count   ARGV[4] the capacity   ARGV[5] the rate
-- Replies with what is taken then, leases and all, when admitted; else with what is taken and, if the count can ever fit, how long
-- to wait and how much has expired then.
local clock_ms = ARGV[6]
-- include window
local count = ARGV[3] + 0
local limit = ARGV[4] + 0
local given_rate = ARGV[5] + 0
local denied = 0
local taken = total + reserved

if taken + count > limit then
  if total > 0 then
    if rate ~= given_rate then
      rate, factor_ms, changed = given_rate, never_ms, true
    end
    -- include save
  end
  if count > limit then return { exact:format(taken) } end
  local missing = taken + count - limit
  -- include wait
  -- include reply_wait
  if taken >= 1e15 then return { exact:format(taken), wait, exact:format(freed) } end
  return { taken, wait, freed }
end

if rate ~= given_rate then rate, changed = given_rate, true end
-- include hit
-- include save
taken = total + reserved
return taken < 1e15 and taken or exact:format(taken)
