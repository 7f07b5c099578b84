-- The buckets between the oldest and the newest, oldest first: inline ones (`front`), those of the list of chunks, and
-- inline ones again (`back`). commands.js says what these are. So a call uses the list only where a chunk begins or
-- ends: each eighth bucket, and not at all where there are few.
--
-- A server may evict the list without the state. Nobody knows then when those buckets expire, so what they counted is
-- forgotten. A list that has entries of somebody else is as good as evicted. Nothing fails at those, because a call may
-- have changed the list by then. What is no list at all fails at the first command, and stays as it is.

-- The newest bucket becomes the last inline one. There must not be a chunk of those already: see `list_back`.
local function push_between(window, declined)
  local bucket = pack_bucket(window.newest_ms, window.newest_count, declined)
  window.inline, window.back = window.inline .. bucket, window.back + 1
end

-- Makes a chunk of the inline buckets after the list, and tells Redis how long to keep the list. Returns false where
-- the list isn't as the state says. Then nothing has changed.
local function list_back(window, buckets_key, keep_ms)
  local listed = find_listed(window, buckets_key)
  local is_sound = listed ~= nil
  if is_sound then
    local at = window.front * BYTES_OF_BUCKET + 1
    local buckets = window.inline:sub(at)
    local accepted = 0
    for bucket_at = 1, BYTES_OF_BUCKETS, BYTES_OF_BUCKET do
      local _, count, declined = unpack_bucket(buckets, bucket_at)
      listed = sum_of_counts(listed, count)
      accepted = accepted + count - declined
    end
    local chunk = pack_chunk(buckets, listed, window.barren_before)
    local length = redis.pcall('RPUSH', buckets_key, chunk)
    is_sound = length == window.chunks + 1
    if is_sound then
      redis.call('PEXPIRE', buckets_key, keep_ms)
      window.barren_before = accepted == 0 and window.barren_before + 1 or 0
      window.chunks, window.back, window.inline = length, 0, window.inline:sub(1, at - 1)
    elseif type(length) == 'number' then
      redis.call('RPOP', buckets_key)
    end
  end
  return is_sound
end

-- What all buckets together count that were ever listed, modulo 2^53; nil where the last entry of the list is no chunk.
local function find_listed(window, buckets_key)
  local listed = 0
  if window.chunks > 0 then
    local is_read
    is_read, listed = pcall(cmsgpack.unpack, redis.pcall('LINDEX', buckets_key, '-1'))
    if not is_read or type(listed) ~= 'number' then listed = nil end
  end
  return listed
end

-- `struct.unpack` returns a place too, which is packed last. It tells chunks from what somebody else has put there.
local function pack_chunk(buckets, listed, barren_before)
  return cmsgpack.pack(listed, barren_before, struct.unpack(BUCKETS_FORMAT, buckets))
end

-- The buckets of a chunk, as they are inline, and its two other numbers; nil for what is no chunk, and where the list
-- has none.
local function read_chunk(chunk)
  local values = { pcall(cmsgpack.unpack, chunk) }
  local is_chunk, buckets = pcall(struct.pack, BUCKETS_FORMAT, unpack(values, 4, NUMBERS_OF_BUCKETS + 3))
  -- The first value is that of `pcall`, and the last is the place. Each letter of a text is a number too, but none is
  -- as large as the place.
  is_chunk = is_chunk and values[NUMBERS_OF_BUCKETS + 4] == BYTES_OF_BUCKETS + 1 and type(values[3]) == 'number'
  return is_chunk and buckets or nil, values[2], values[3]
end

-- The window has its newest bucket, the inline ones, and an oldest bucket that counts so much, and no others.
local function lose_list(window, oldest_count, oldest_declined)
  window.chunks, window.seen = 0, -1
  window.total, window.declined = oldest_count + window.newest_count, oldest_declined + window.newest_declined
  for at = 1, #window.inline, BYTES_OF_BUCKET do
    local _, count, declined = unpack_bucket(window.inline, at)
    window.total, window.declined = window.total + count, window.declined + declined
  end
end

-- Forgets the buckets of a list that isn't as the state says: the server has evicted one without the other.
local function drop_list(window)
  -- This fails where there is no list but something else, or where nothing can be written.
  redis.call('RPUSH', window.buckets_key, '')
  redis.call('DEL', window.buckets_key)
  lose_list(window, window.oldest_count, window.oldest_declined)
end

-- Takes the oldest of the buckets. Returns its hit time, its count and its declined part; nil if there is none.
local function shift_between(window)
  if window.front == 0 and window.chunks > 0 then
    local chunk = redis.call('LPOP', window.buckets_key)
    local buckets = read_chunk(chunk)
    if buckets then
      put_in_front(window, buckets)
    else
      lose_list(window, 0, 0)
    end
  end
  local hit_ms, count, declined
  if window.front + window.back > 0 then
    hit_ms, count, declined = shift_inline(window)
  end
  return hit_ms, count, declined
end

-- Makes the buckets of the first chunk inline, which is no longer in the list. There must be none before the list.
local function put_in_front(window, buckets)
  window.inline = buckets .. window.inline
  window.front, window.chunks = BUCKETS_OF_CHUNK, window.chunks - 1
end

-- Takes the first inline bucket. There must be one, and no list before it.
local function shift_inline(window)
  local hit_ms, count, declined = unpack_bucket(window.inline, 1)
  window.inline = window.inline:sub(BYTES_OF_BUCKET + 1)
  if window.front > 0 then
    window.front = window.front - 1
  else
    window.back = window.back - 1
  end
  return hit_ms, count, declined
end

-- Takes the newest of the buckets. Returns what `shift_between` does.
local function pop_between(window)
  if window.back == 0 and window.chunks > 0 then
    local chunk = redis.call('RPOP', window.buckets_key)
    local buckets, _, barren_before = read_chunk(chunk)
    if buckets then
      window.inline = window.inline .. buckets
      window.back, window.chunks = BUCKETS_OF_CHUNK, window.chunks - 1
      -- What the window knew is more up to date.
      window.barren_before = math.max(barren_before, window.barren_before - 1)
    else
      lose_list(window, window.oldest_count, window.oldest_declined)
    end
  end
  local hit_ms, count, declined
  if window.front + window.back > 0 then
    hit_ms, count, declined = unpack_bucket(window.inline, #window.inline - BYTES_OF_BUCKET + 1)
    window.inline = window.inline:sub(1, -BYTES_OF_BUCKET - 1)
    if window.back > 0 then
      window.back = window.back - 1
    else
      window.front = window.front - 1
    end
  end
  return hit_ms, count, declined
end

local function count_between(window)
  return window.front + window.chunks * BUCKETS_OF_CHUNK + window.back
end

-- The bucket after which there are `newer` others between. Returns what `shift_between` does; nil only where the server
-- has evicted the list.
local function find_between(window, newer)
  local hit_ms, count, declined
  local in_list = newer - window.back
  local in_front = in_list - window.chunks * BUCKETS_OF_CHUNK
  if in_list < 0 then
    hit_ms, count, declined = unpack_bucket(window.inline, #window.inline - (newer + 1) * BYTES_OF_BUCKET + 1)
  elseif in_front < 0 then
    local chunk = redis.call('LINDEX', window.buckets_key, -1 - math.floor(in_list / BUCKETS_OF_CHUNK))
    local buckets = read_chunk(chunk)
    if buckets then
      local in_chunk = in_list % BUCKETS_OF_CHUNK
      hit_ms, count, declined = unpack_bucket(buckets, BYTES_OF_BUCKETS - (in_chunk + 1) * BYTES_OF_BUCKET + 1)
    end
  else
    hit_ms, count, declined = unpack_bucket(window.inline, (window.front - in_front - 1) * BYTES_OF_BUCKET + 1)
  end
  return hit_ms, count, declined
end

-- Sums of counts, and their differences, are modulo 2^53. So they are exact however long a key is in use.
local function sum_of_counts(sum, count)
  local left = MOST_TOTAL - sum
  return count > left and count - left - 1 or sum + count
end

local function difference_of_counts(sum, other)
  return sum < other and sum - other + MOST_TOTAL + 1 or sum - other
end
