-- What ADJUST and SET_IF do to the buckets of a window. They take and give at the ends, so a correction
-- costs as much as the buckets that it empties, however many there are.

-- Adds `amount` to the counts of the newest bucket, which may be negative; `declined` of it to the declined ones.
local function change_newest(window, amount, declined)
  window.newest_count, window.newest_declined = window.newest_count + amount, window.newest_declined + declined
  window.total, window.declined = window.total + amount, window.declined + declined
  window.recent, window.rest_changed = window.recent + amount, true
end

local function change_oldest(window, amount, declined)
  window.oldest_count, window.oldest_declined = window.oldest_count + amount, window.oldest_declined + declined
  window.total, window.declined = window.total + amount, window.declined + declined
  if window.seen == 0 then window.recent = window.recent + amount end
  window.head_changed = true
  if window.oldest_count == 0 then
    drop_oldest(window)
  end
end

-- Takes `amount` from the newest buckets back: first what was accepted, because that is what a caller gives back, and
-- only then what was declined.
local function refund(window, amount)
  local left = amount
  local taken = math.min(left, window.newest_count - window.newest_declined)
  change_newest(window, -taken, 0)
  left = left - taken
  while window.newest_count == 0 and window.oldest_count > 0 do
    drop_newest(window)
    taken = math.min(left, window.newest_count - window.newest_declined)
    change_newest(window, -taken, 0)
    left = left - taken
  end
  if left > 0 and window.total > window.declined then
    left = refund_below(window, left)
  end
  -- Whatever is left now was declined.
  while left > 0 and window.newest_count > 0 do
    taken = math.min(left, window.newest_count)
    change_newest(window, -taken, -taken)
    left = left - taken
    if window.newest_count == 0 and window.oldest_count > 0 then
      drop_newest(window)
    end
  end
  if window.newest_count == 0 then
    forget(window)
  end
end

-- Takes up to `left` of what is accepted in the buckets before the newest one, which has nothing accepted. They stay
-- where they are. Suppression can put a day of buckets without anything accepted on top of the others: those are passed
-- in one step, because each chunk knows how many of them are right before it. Returns how much is left.
local function refund_below(window, left)
  local inline, rest = refund_string(window, window.inline, #window.inline, window.back, 0, left)
  window.inline, window.head_changed = inline, true
  if rest > 0 then
    rest = refund_listed(window, rest)
  end
  if rest > 0 then
    local newer = window.chunks * BUCKETS_OF_CHUNK + window.back
    inline, rest = refund_string(window, inline, window.front * BYTES_OF_BUCKET, window.front, newer, rest)
    window.inline = inline
  end
  local taken = math.min(rest, window.oldest_count - window.oldest_declined)
  if taken > 0 then
    change_oldest(window, -taken, 0)
  end
  return rest - taken
end

local function refund_listed(window, left)
  local at = window.barren_before
  while left > 0 and at < window.chunks do
    local chunk = redis.call('LINDEX', window.buckets_key, -1 - at)
    local buckets, listed, barren_before = read_chunk(chunk)
    if buckets then
      local newer = window.back + at * BUCKETS_OF_CHUNK
      local changed, rest = refund_string(window, buckets, BYTES_OF_BUCKETS, BUCKETS_OF_CHUNK, newer, left)
      if rest < left then
        chunk = pack_chunk(changed, listed, barren_before)
        redis.call('LSET', window.buckets_key, -1 - at, chunk)
      end
      left = rest
      if left > 0 then at = at + 1 + barren_before end
    else
      at = window.chunks
    end
  end
  window.barren_before = math.min(at, window.chunks)
  return left
end

-- Takes up to `left` of what is accepted in `size` buckets of a string, the last of which ends at byte `to`. After that
-- one there are `newer` other buckets between. Returns the string, and how much is left.
local function refund_string(window, buckets, to, size, newer, left)
  local between = count_between(window)
  while left > 0 and size > 0 do
    local hit_ms, count, declined = unpack_bucket(buckets, to - BYTES_OF_BUCKET + 1)
    local taken = math.min(left, count - declined)
    if taken > 0 then
      left = left - taken
      window.total = window.total - taken
      if between - newer >= window.seen then window.recent = window.recent - taken end
      local bucket = pack_bucket(hit_ms, count - taken, declined)
      buckets = buckets:sub(1, to - BYTES_OF_BUCKET) .. bucket .. buckets:sub(to + 1)
    end
    to, size, newer = to - BYTES_OF_BUCKET, size - 1, newer + 1
  end
  return buckets, left
end

-- Takes back what a take counted at `hit_ms`: what is accepted in the bucket of that time, and where that isn't enough,
-- because somebody else was given it back, in older ones. Never in newer ones, which have the hits of other calls. So
-- these are taken from the list and appended again. They are those that began since the take counted.
--
-- If it `declines`, all of that counts as declined from now on. Then the factor stays: as much is observed as before.
local function give_back(window, amount, hit_ms, declines)
  local factor_ms = declines and window.factor_ms or NEVER_MS
  local room = math.min(amount, MOST_DECLINED - window.declined, MOST_TOTAL - window.total)
  local cell_ms = cell_start_of(hit_ms, window.bucket_ms)
  local newer = {}
  set_aside(window, cell_ms + window.bucket_ms, newer)
  -- No more than was accepted, which may have expired.
  local taken = math.min(amount, window.total - window.declined)
  if taken > 0 then
    if declines then
      local declined = math.min(taken, room)
      change_newest(window, declined, declined)
    end
    refund(window, taken)
  end
  for at = #newer, 1, -1 do
    local bucket = newer[at]
    append_bucket(window, bucket[HIT_MS], bucket[COUNT], bucket[DECLINED])
  end
  if #newer > 0 then window.seen, window.head_changed = -1, true end
  window.factor_ms = factor_ms
end

-- Makes `count` the total. `history` says which buckets have it then.
local function set_total(window, count, history)
  window.factor_ms, window.rest_changed = NEVER_MS, true
  if count == 0 then
    forget(window)
  elseif window.total == 0 or history == 'replace' then
    replace_buckets(window, count)
  elseif count >= window.total then
    if history == 'preserve-oldest' and window.oldest_count > 0 then
      change_oldest(window, count - window.total, 0)
    else
      change_newest(window, count - window.total, 0)
    end
  elseif history == 'preserve-oldest' then
    shrink_newest(window, count)
  else
    shrink_oldest(window, count)
  end
end

local function replace_buckets(window, count)
  if window.chunks > 0 then redis.call('DEL', window.buckets_key) end
  local declined = shrunk(window.declined, window.total, count)
  window.newest_ms, window.newest_count, window.newest_declined = window.now_ms, count, declined
  keep_newest_only(window)
  window.seen, window.head_changed = -1, true
  keep(window)
end

-- Takes from the newest buckets until the total is `count`. The declined part of a bucket shrinks in proportion.
local function shrink_newest(window, count)
  while window.oldest_count > 0 and window.total - window.newest_count >= count do
    change_newest(window, -window.newest_count, -window.newest_declined)
    drop_newest(window)
  end
  local kept = math.max(0, window.newest_count - math.max(0, window.total - count))
  local declined = shrunk(window.newest_declined, window.newest_count, kept)
  change_newest(window, kept - window.newest_count, declined - window.newest_declined)
end

local function shrink_oldest(window, count)
  while window.oldest_count > 0 and window.total - window.oldest_count >= count do
    drop_oldest(window)
  end
  if window.oldest_count > 0 then
    local kept = window.oldest_count - (window.total - count)
    local declined = shrunk(window.oldest_declined, window.oldest_count, kept)
    change_oldest(window, kept - window.oldest_count, declined - window.oldest_declined)
  else
    shrink_newest(window, count)
  end
end

-- Whether a total meets the condition of SET_IF.
local function meets(op, value, total)
  local is_less, is_more = op == 'lt' and total < value, op == 'gt' and total > value
  local is_equal, is_other = op == 'eq' and total == value, op == 'ne' and total ~= value
  return op == 'always' or is_less or is_more or is_equal or is_other
end

-- `declined` of `from`, for counts that are now `to`; rounded down, in the limit's favour. The product comes first
-- because it is exact, and then so is the floor of its quotient.
local function shrunk(declined, from, to)
  local part = declined
  if to < from then part = math.floor(declined * to / from) end
  return part
end
