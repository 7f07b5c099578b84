-- Decides about a call under the absolute strategy, and records it when it is admitted.
--   ARGV[5] the count   ARGV[6] the capacity   ARGV[7] the rate
-- Replies with the new total when admitted; else with the total and, if the count can ever fit, how long
-- to wait and how much has expired then.
-- include window
local count = ARGV[5] + 0
local limit = ARGV[6] + 0
local given_rate = ARGV[7] + 0
local denied = 0

if total + count > limit then
  if total > 0 then
    if rate ~= given_rate then
      rate, factor_ms, changed = given_rate, nil, true
    end
    -- include save
  end
  if count > limit then return { exact:format(total) } end
  local missing = total + count - limit
  -- include wait
  if total >= 1e15 then return { exact:format(total), exact:format(wait_ms), exact:format(freed) } end
  return { total, exact:format(wait_ms), freed }
end

rate = given_rate
-- include hit
-- include save
return total < 1e15 and total or exact:format(total)
