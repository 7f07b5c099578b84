-- The hits of a report. Each was counted by the process when it was made, and comes to Redis later.

-- Counts the hits that no report before has brought. A report whose answer was lost brings its hits again, and each hit
-- has the number of the report that brought it first: up to `last_report` they are counted already. Where that is the
-- number of calls that waited for the answer, only `counted_before` of them were counted.
--
-- A hit counts as of the time when it was made, so that it expires when it should. Buckets that were live then are
-- dropped only as of that time, because the hit may be what keeps the newest of them alive.
local function count_hits(window, arguments, last_report, counted_before)
  local present_ms = window.now_ms
  local known = counted_before
  local late = {}
  for at = FIRST_HIT, FIRST_HIT + (arguments.hits - 1) * HIT_SIZE, HIT_SIZE do
    local hit_ms = present_ms - arguments[at + HIT_AGE_MS]
    local number, count = arguments[at + HIT_REPORT] + 0, arguments[at + HIT_COUNT] + 0
    local declined = arguments[at + HIT_DECLINED] + 0
    if counted_before > 0 and number == last_report then
      local rest = math.max(0, count - known)
      known = known - (count - rest)
      count, declined = rest, math.min(declined, rest)
    elseif number <= last_report then
      count = 0
    end
    if count > 0 and hit_ms + window.window_ms > present_ms then
      local is_late = is_late_by_much(window, hit_ms)
      if is_late then
        late[#late + 1] = { hit_ms, count, declined }
      else
        add_hit_at(window, hit_ms, count, declined)
      end
    end
  end
  window.now_ms = present_ms
  if #late > 0 then
    add_late_hits(window, late)
  end
end

-- To put a hit between other buckets reads and writes all that are newer. So a hit that is older than the newest
-- bucket by no more than a bucket, or a hundredth of the window, counts as of the newest: it expires that much too late
-- at most. What is left are the hits of a process that Redis has not heard of for as long.
local function is_late_by_much(window, hit_ms)
  local little_ms = little_time_of(window)
  return window.total > 0 and hit_ms + little_ms < window.newest_ms
end

local function add_hit_at(window, hit_ms, count, declined)
  window.now_ms = window.total > 0 and math.max(window.newest_ms, hit_ms) or hit_ms
  expire(window)
  add_hit(window, count, declined)
end

-- Puts late hits where they belong among the buckets: the newer buckets are taken from the list and appended again,
-- with the hits in between. The recent rate and the factor were computed without the hits, so they are forgotten.
local function add_late_hits(window, late)
  local first_ms = math.huge
  for _, hit in ipairs(late) do first_ms = math.min(first_ms, hit[HIT_MS]) end
  local from_ms = cell_start_of(first_ms, window.bucket_ms)
  set_aside(window, from_ms, late)
  table.sort(late, function(a, b) return a[HIT_MS] < b[HIT_MS] end)
  local merged = merged_by_cell(late, window.bucket_ms)
  for _, bucket in ipairs(merged) do
    append_bucket(window, bucket[HIT_MS], bucket[COUNT], bucket[DECLINED])
  end
  window.factor_ms, window.seen, window.head_changed = NEVER_MS, -1, true
end

-- The buckets, oldest first, with those of one cell made into one, which has the time of its newest hit.
local function merged_by_cell(buckets, bucket_ms)
  local merged = {}
  for _, bucket in ipairs(buckets) do
    local before = merged[#merged]
    local cell_ms = cell_start_of(bucket[HIT_MS], bucket_ms)
    if before and before[HIT_MS] >= cell_ms then
      before[HIT_MS] = bucket[HIT_MS]
      before[COUNT] = before[COUNT] + bucket[COUNT]
      before[DECLINED] = before[DECLINED] + bucket[DECLINED]
    else
      merged[#merged + 1] = bucket
    end
  end
  return merged
end
