local function peek(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local rate = arguments.rate
  local is_own_rate = rate == ''
  -- A key that is only leased has no rate of its own, but what is leased is taken whatever the rate is.
  if window.total == 0 and (is_own_rate or window.reserved == 0) then return 0 end
  save(window)
  -- Nothing is stored from here on.
  if not is_own_rate and window.rate ~= rate + 0 then
    set_rate(window, rate + 0)
  end
  local recent = update_recent_rate(window)
  local capacity = capacity_in(window.rate, window.window_ms)
  local wait_ms, freed = time_until_free(window, window.total + window.reserved + arguments.count - capacity)
  local accepted = oldest_accepted(window)
  local oldest_gone_ms = window.total > 0 and window.oldest_ms + window.window_ms or window.last_gone_ms
  local replied = all_as_replied(reply({
    rate = window.rate,
    total = window.total,
    declined = window.declined,
    wait_ms = wait_ms,
    freed = freed,
    oldest_expires_in_ms = oldest_gone_ms - window.now_ms,
    oldest_accepted = accepted,
    recent_per_second = recent,
    kept_factor = window.factor,
    kept_factor_age_ms = window.now_ms - window.factor_ms,
    leased = window.reserved,
  }))
  return replied
end
