-- How numbers are replied. A Lua number would lose its fraction, and clients round integers near 2^53, so a number is
-- replied as text where it may be either. Text costs ten times what an integer costs.

-- A time: in ms on a caller's clock, as text and exactly; in whole microseconds on the server's, which has no others.
local function time_as_replied(window, ms)
  local replied
  if window.has_callers_clock then
    replied = EXACT:format(ms)
  else
    replied = math.ceil(ms * 1000)
  end
  return replied
end

-- A whole number that may be a large one.
local function whole_as_replied(value)
  local replied = value
  if value >= MOST_INTEGER then replied = EXACT:format(value) end
  return replied
end

-- What an admitted call is replied: what is used then, and how long until the oldest bucket expires.
local function admission_as_replied(window, used)
  local more_ms = time_until_more_free(window)
  local replied = used_as_replied(used, window.window_ms, more_ms)
  return replied
end

-- What is used, and how long until the oldest bucket expires, in whole ms. Both fit into one number, which costs Redis
-- and the client less than a list. A client knows the window too, so it can take the two apart. Where that number would
-- be too large, it is a text of both.
local function used_as_replied(used, window_ms, more_ms)
  local replied = used * (math.ceil(window_ms) + 1) + more_ms
  if replied >= MOST_INTEGER then
    replied = EXACT:format(used) .. ' ' .. EXACT:format(more_ms)
  end
  return replied
end

-- A suppression factor, times 2^53. Its difference to 1 is a multiple of 2^-53, so the product is a whole number unless
-- the factor is below 1/2, and then less than a whole number is lost of it. Clients round integers near 2^53: there a
-- factor just below 1 would become 1, which nobody may be admitted at.
local function scaled_as_replied(factor)
  local scaled = factor * 9007199254740992
  if scaled > 9007199254740900 and factor < 1 then scaled = EXACT:format(scaled) end
  return scaled
end

-- Numbers of any kind.
local function all_as_replied(values)
  for i, value in ipairs(values) do values[i] = EXACT:format(value) end
  return values
end

-- What failed, as text. The second is for a server that is a replica, which can write nothing: what clients listen to.
local function failure_as_text(failure)
  local text = type(failure) == 'table' and failure.err or tostring(failure)
  local readonly = text:match('READONLY.*')
  return text, readonly
end
