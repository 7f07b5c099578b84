local function sync(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  local last_report, counted_before, held_before = open_leases(window, keys, arguments)
  -- A client may send a report twice, or so late that a later one came before it. The lease of such a report would be
  -- one that the process has given back since, and the calls that it asks for have been counted or given up.
  if arguments.report <= last_report then
    return redis.error_reply('STALE report: this one or a later one has been counted')
  end
  take_rate(window, arguments)
  count_hits(window, arguments, last_report, counted_before)
  expire(window)
  forget_factor_of_nothing(window)
  local counted, granted, waits, wanted = serve(window, arguments)
  local leased_by_others = window.reserved
  -- A block denies whatever is used, so nothing is computed for its calls, as on the other providers.
  local is_denied = waits and window.blocked_until_ms == NEVER_MS
  local factor_left_ms, granted_headroom, free_headroom = -1, 0, -1
  if arguments.hard_limit ~= '' then
    if is_denied then
      factor_left_ms = factor_of(window, arguments, wanted)
    end
    if window.blocked_until_ms == NEVER_MS then
      local rest
      rest, granted_headroom, free_headroom = headroom_of(window, arguments, counted, granted, factor_left_ms >= 0)
      granted = granted + rest
    end
  end
  -- From here on the report is one that was counted. So what comes then must not fail at a list that is none.
  if window.chunks > 0 then redis.call('LINDEX', window.buckets_key, '0') end
  lease_to(window, keys, arguments, held_before, counted, granted, granted_headroom)
  local wait_ms, freed = 0, 0
  if is_denied and arguments.hard_limit == '' then
    wait_ms, freed = wait_of(window, arguments, wanted)
  end
  local buckets, first_ms, second_ms, second_accepted = oldest_two(window)
  save_leased(window)
  local first_accepted = oldest_accepted(window)
  local replied = all_as_replied(reply({
    counted = counted,
    granted = granted,
    total = window.total,
    declined = window.declined,
    leased_by_others = leased_by_others,
    buckets = buckets,
    first_expires_in_ms = first_ms + window.window_ms - window.now_ms,
    first_accepted = first_accepted,
    second_expires_in_ms = second_ms + window.window_ms - window.now_ms,
    second_accepted = second_accepted,
    wait_ms = wait_ms,
    freed = freed,
    factor = window.factor,
    factor_left_ms = factor_left_ms,
    granted_headroom = granted_headroom,
    free_headroom = free_headroom,
    blocked_ms = math.max(0, window.blocked_until_ms - window.now_ms),
  }))
  return replied
end

-- The first call to a key may be above the soft limit. Its factor is kept in a window that counts nothing yet, because
-- the process that draws reports the call later. If that report comes when the call has expired, the factor has too.
local function forget_factor_of_nothing(window)
  if window.total == 0 and window.factor_ms + window.window_ms <= window.now_ms then
    window.factor_ms, window.rest_changed = NEVER_MS, true
  end
end

-- Reads the leases, and takes back that of the process. Returns the number of its last report, what was counted under
-- that number, and how much the process had.
local function open_leases(window, keys, arguments)
  -- Redis is told how long to keep the key where its clock was set back.
  if window.keep_ms then redis.call('PEXPIRE', keys.leases, window.keep_ms) end
  sum_leases(window, keys.leases, arguments.lease_ms)
  local last_report, counted_before, held_before = take_back_lease(window, keys.leases, arguments.process)
  return last_report, counted_before, held_before
end

-- Counts the calls that wait, as far as there is room, or grants a lease for them. Returns what was counted and what is
-- granted, whether a call still waits, and what would be used with the first of these.
local function serve(window, arguments)
  local used = window.total - window.declined + window.reserved
  local room = window.blocked_until_ms > NEVER_MS and 0 or arguments.limit - used - arguments.held
  local counted, granted, waits = share_of(window, arguments, room)
  if counted > 0 then
    add_hit(window, counted, 0)
  end
  local wanted = used + counted + arguments.asked
  return counted, granted, waits, wanted
end

-- Notes what the process has now, and its report.
local function lease_to(window, keys, arguments, held_before, counted, granted, granted_headroom)
  local report, held, headroom = arguments.report, arguments.held + granted, arguments.held_headroom + granted_headroom
  -- Calls are counted under the next number: if the answer is lost, the process reports them with it, in case.
  if counted > 0 then report = report + 1 end
  if held + headroom > 0 or held_before > 0 or counted > 0 or arguments.hits > 0 then
    give_lease(window, keys.leases, arguments.process, report, counted, held, headroom, arguments.lease_ms)
  end
end

-- Gives the key the rate of the report. A rate that is not new is no caller's wish, so others may have given the key
-- another one since, and that one stays.
local function take_rate(window, arguments)
  local rate = arguments.rate
  if window.rate ~= rate and (arguments.rate_is_new or not window.rate or window.rate == NO_RATE) then
    set_rate(window, rate)
  end
end

-- Absolute: what the first call that was not counted has to wait for. `wanted` is what would be used with it. A report
-- that only settles a key asks for no call. So nothing is computed for it, under either strategy.
local function wait_of(window, arguments, wanted)
  local wait_ms, freed = 0, 0
  if arguments.asked > 0 and arguments.asked <= arguments.limit then
    wait_ms, freed = time_until_free(window, wanted - arguments.limit)
  end
  return wait_ms, freed
end

-- Suppressed: how long the factor may be used that the first call meets which was not counted; -1 if no call of its
-- count may be admitted.
local function factor_of(window, arguments, wanted)
  local factor_left_ms = -1
  if wanted + window.headroom <= arguments.hard_limit + 0 then
    local suppression_cache_ms = arguments.suppression_cache_ms + 0
    refresh_factor(window, suppression_cache_ms)
    factor_left_ms = window.factor_ms + suppression_cache_ms - window.now_ms
  end
  return factor_left_ms
end

-- Stores the window, also where it has nothing but leases.
local function save_leased(window)
  local is_new = window.stored_bytes == 0
  if not is_new or window.total > 0 or window.lease_count > 0 or window.factor_ms > NEVER_MS then
    if is_new and window.total == 0 then
      window.newest_ms, window.oldest_ms = window.now_ms, window.now_ms
    end
    -- A lease may count as used for longer than the newest bucket is live.
    if window.lease_count > 0 or is_new then
      keep(window)
    end
    save(window)
  end
end

-- How many buckets there are, 3 for more; when the oldest of them and the next were hit last, and the accepted usage of
-- the next.
local function oldest_two(window)
  local buckets, first_ms, second_ms, second_accepted = 0, 0, 0, 0
  if window.total > 0 then
    buckets, first_ms = 1, window.oldest_ms
    if window.oldest_count > 0 then
      buckets, second_ms, second_accepted = 2, window.newest_ms, window.newest_count - window.newest_declined
      local hit_ms, accepted = find_second(window)
      if hit_ms then
        buckets, second_ms, second_accepted = 3, hit_ms, accepted
      end
    end
  end
  return buckets, first_ms, second_ms, second_accepted
end

-- The first bucket between the oldest and the newest that counts anything, and its accepted usage; nil if there is
-- none. Those before it are dropped.
local function find_second(window)
  local hit_ms, count, declined = nil, 0, 0
  local between = count_between(window)
  local is_found = between == 0
  while not is_found do
    hit_ms, count, declined = find_between(window, between - 1)
    is_found = not hit_ms or count > 0
    if not is_found then
      shift_between(window)
      window.head_changed = true
      if window.seen > 1 then window.seen = window.seen - 1 end
      hit_ms, between = nil, between - 1
      is_found = between == 0
    end
  end
  local accepted = hit_ms and count - declined
  return hit_ms, accepted
end
