-- The capacity, as in strategy/capacity.ts.

-- How many requests a rate lets into a window.
local function capacity_in(rate, window_ms)
  local capacity = floor_forgiving(rate * (window_ms / 1000))
  return capacity
end

-- floor, but a value that floating point has left a hair under a whole number is that number. From 2^52 on there are
-- only whole numbers. strategy/capacity.ts says how wide the hair is, and why.
local function floor_forgiving(value)
  local floor = value
  if value < 4503599627370496 then
    floor = math.floor(value + math.min(value * 1e-12, math.max(1e-3, value * 2 ^ -51), 0.5))
  end
  return floor
end
