local function peek(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local rate = arguments.rate
  local is_own_rate = rate == ''
  -- A key that is only leased has no rate of its own, but what is leased counts as used whatever the rate is.
  local is_unknown = window.total == 0 and (is_own_rate or window.reserved == 0)
  if is_unknown and window.blocked_until_ms == NEVER_MS then return 0 end
  save(window)
  -- Nothing is stored from here on.
  if is_own_rate and window.total == 0 then
    window.rate = math.huge
  elseif not is_own_rate and window.rate ~= rate + 0 then
    set_rate(window, rate + 0)
  end
  local capacity = capacity_in(window.rate, window.window_ms)
  local missing = window.total - window.declined + window.reserved + arguments.count - capacity
  -- Each may read many chunks of the list. So only that is computed which the decision is made of.
  local recent, wait_ms, freed = 0, 0, 0
  if missing > 0 and arguments.sheds then
    recent = update_recent_rate(window)
  elseif missing > 0 then
    wait_ms, freed = time_until_free(window, missing)
  end
  local accepted = oldest_accepted(window)
  local oldest_ms = oldest_expires_in(window)
  local oldest_with_hit_ms = oldest_ms
  local cell_ms = cell_start_of(window.now_ms, window.bucket_ms)
  if window.total == 0 or window.oldest_count == 0 and window.newest_ms >= cell_ms then
    oldest_with_hit_ms = window.window_ms
  end
  local replied = all_as_replied(reply({
    rate = window.rate,
    total = window.total,
    declined = window.declined,
    wait_ms = wait_ms,
    freed = freed,
    oldest_expires_in_ms = oldest_ms,
    oldest_expires_with_hit_in_ms = oldest_with_hit_ms,
    oldest_accepted = accepted,
    recent_per_second = recent,
    kept_factor = window.factor,
    kept_factor_age_ms = window.now_ms - window.factor_ms,
    leased = window.reserved,
    blocked_ms = math.max(0, window.blocked_until_ms - window.now_ms),
  }))
  return replied
end
