-- Leases: what hybrid processes may spend without asking. Each of them counts as used until it is given back with a
-- report, or gone. A process may spend its lease for `lease_ms`. What it spent last is live for a window after
-- that, and if the process has crashed, no report will ever tell how much that was. So a lease that is not given back
-- counts as used for `lease_ms + window_ms`; for less, others could admit what the crashed process has admitted
-- already.
--
-- Under the suppressed strategy a lease has a second part, the headroom: what the process may admit above the capacity,
-- where a draw admits. Redis takes it from what is free under the hard limit. So all processes together never pass the
-- hard limit, though none of them knows what the others admit. Headroom doesn't count as used.
--
-- The state has the sums of all leases, and when the first and the last of them are gone. So other commands need not
-- read the hash.

-- Adds up the leases anew when one of them may be gone, and where the state that knew the sum may be gone. It costs as
-- much as there are processes, at most once for each lease that is not given back. A lease that is gone later than one
-- that is given now is of a time before the server's clock was set back, and the state that knew of that is gone.
local function sum_leases(window, leases_key, lease_ms)
  if window.lease_count == 0 or window.first_gone_ms <= window.now_ms then
    window.head_changed = window.head_changed or window.lease_count > 0
    window.reserved, window.headroom, window.lease_count = 0, 0, 0
    local leases = redis.call('HGETALL', leases_key)
    for i = 1, #leases, 2 do
      local last_report, counted, held, headroom, gone_ms = unpack_lease(leases[i + 1])
      if gone_ms > window.now_ms + lease_ms + window.window_ms then
        gone_ms = window.now_ms + lease_ms + window.window_ms
        local lease = pack_lease(last_report, counted, held, headroom, gone_ms)
        redis.call('HSET', leases_key, leases[i], lease)
      end
      if gone_ms <= window.now_ms then
        redis.call('HDEL', leases_key, leases[i])
      elseif held + headroom > 0 then
        add_lease(window, held, headroom, gone_ms)
      end
    end
  end
end

local function add_lease(window, held, headroom, gone_ms)
  if window.lease_count == 0 then
    window.first_gone_ms, window.last_gone_ms = gone_ms, gone_ms
  else
    window.first_gone_ms = math.min(window.first_gone_ms, gone_ms)
    window.last_gone_ms = math.max(window.last_gone_ms, gone_ms)
  end
  window.reserved, window.headroom = window.reserved + held, window.headroom + headroom
  window.lease_count, window.head_changed = window.lease_count + 1, true
end

-- Takes the lease that a process has out of the sum, because its report tells what the process keeps of it. A lease
-- that is there is in the sum, because `sum_leases` has dropped those that are gone. Returns the number of the last
-- report of the process that was counted, what was counted under it for calls that waited, and how large the lease was
-- with its headroom. Zeros for a new process.
local function take_back_lease(window, leases_key, process)
  local last_report, counted, held, headroom = 0, 0, 0, 0
  local lease = redis.call('HGET', leases_key, process)
  if lease then
    last_report, counted, held, headroom = unpack_lease(lease)
  end
  if held + headroom > 0 then
    window.reserved = math.max(0, window.reserved - held)
    window.headroom = math.max(0, window.headroom - headroom)
    window.lease_count = window.lease_count - 1
    window.rest_changed = true
  end
  return last_report, counted, held + headroom
end

-- Remembers a lease and the report that it answers. A process without a lease is remembered too, because a report that
-- was sent before may still arrive.
local function give_lease(window, leases_key, process, last_report, counted, held, headroom, lease_ms)
  local taken_ms = lease_ms + window.window_ms
  local gone_ms = window.now_ms + taken_ms
  if held + headroom > 0 then
    add_lease(window, held, headroom, gone_ms)
  end
  local lease = pack_lease(last_report, counted, held, headroom, gone_ms)
  redis.call('HSET', leases_key, process, lease)
  -- A caller's clock may stand still while the server's goes on. So there is a minute to spare then, as in `keep`.
  local kept_ms = math.ceil(taken_ms + window.bucket_ms) + (window.has_callers_clock and 60000 or 0)
  redis.call('PEXPIRE', leases_key, kept_ms)
end

-- What a process gets: `counted` for the calls that wait, and what is `granted` to spend.
--
-- Calls that fit all together are counted. If not all fit and they are alike, as many of them are counted as fit: the
-- first ones. The next one waits, and nothing is granted. If they are not alike, Redis can't tell which fit. Then what
-- there is room for is granted, so that the process can decide about each of them. If the first of them does not fit,
-- the others get what they need, and nothing more is granted: what isn't enough for the first is left to other
-- processes.
--
-- For later calls a process gets what it wants while nobody else has a lease. Else all processes together may get half
-- of what is free, in equal shares: the other half is for those that come, and for the Redis provider.
local function share_of(window, arguments, room)
  local asked, needed = arguments.asked, arguments.needed
  local counted, granted, waits = 0, 0, false
  if needed <= room then
    counted = needed
  elseif arguments.is_alike then
    counted = math.max(0, math.floor(room / asked) * asked)
    waits = true
  else
    waits = asked > room
    granted = math.max(0, math.min(waits and needed - asked or needed, room))
  end
  local share = waits and 0 or room - counted - granted
  -- A process that has only headroom is none to share the capacity with. Each other one has at least 1.
  local others = math.min(window.lease_count, window.reserved)
  if others > 0 then share = share / (2 * others + 2) end
  granted = granted + math.floor(math.max(0, math.min(arguments.wanted, share)))
  return counted, granted, waits
end

-- Suppressed: what a process gets above the capacity. `counted` and `granted` are what `share_of` has given it of the
-- capacity, and `draws` says whether the calls that still wait meet a factor below 1, so that a draw may admit them.
-- Returns how much more of the capacity the process gets as a lease, its new headroom, and what is free under the hard
-- limit then.
--
-- Headroom for the calls that wait comes first. Each of them meets the factor: a draw denies that share of them, and
-- those need no headroom. If other processes have leases too, the calls get twice what the others need, because chance
-- may admit more of them, and a call without headroom would have to ask again. The first call gets all that it needs,
-- whatever the factor is. It may weigh more than all the headroom that there is: then it gets the rest of the capacity
-- too, because a draw that admits may spend both. For later calls the process gets its share of what is left, as it
-- does of the capacity.
local function headroom_of(window, arguments, counted, granted, draws)
  local asked, limit, hard_limit = arguments.asked, arguments.limit, arguments.hard_limit + 0
  -- With the lease of the process, which counts as used from now on.
  local used = window.total - window.declined + window.reserved + arguments.held + granted
  local free = math.max(0, limit - used)
  local room = math.max(0, hard_limit - math.max(limit, used) - window.headroom - arguments.held_headroom)
  local rest, headroom = 0, 0
  if draws and asked > 0 then
    local waiting = arguments.needed - counted - granted
    if window.lease_count > 0 then
      waiting = math.min(waiting, asked + math.ceil(2 * waiting * (1 - window.factor)))
    end
    headroom = math.min(waiting, room)
    rest = math.max(0, math.min(asked - headroom - granted, free))
  end
  local share = room - headroom
  local others = math.min(window.lease_count, window.headroom)
  if others > 0 then share = share / (2 * others + 2) end
  headroom = headroom + math.floor(math.max(0, math.min(arguments.wanted_headroom, share)))
  -- Capacities may be larger than the largest total, up to infinity.
  return rest, headroom, math.min(MOST_TOTAL, free - rest + room - headroom)
end
