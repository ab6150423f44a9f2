-- reserve.lua keeps the token bucket of one account. All workers of the cluster share this bucket.
--
-- KEYS[1]  the account's bucket: a hash that expires one hour after it is full again
-- KEYS[2]  optional: a hash of the same slot. If it has the field "rate" or the field "limit", the field's rate and
--          burst (for example "80 8") replace ARGV[2] and ARGV[3] for every worker. "rate" has priority over "limit".
-- ARGV[1]  the operation: "reserve", "return", "cool" or "free"
-- ARGV[2]  rate in tokens a second; 0 means no limit
-- ARGV[3]  burst in tokens, at least 1
--   reserve:  ARGV[4] tokens
--             ARGV[5] the longest wait in microseconds, not negative
--             ARGV[6] "bulk" or "transactional"
--             ARGV[7] the share of the rate that transactional calls keep while bulk debt is paid off
--             ARGV[8] maximum time from the refused turn until the caller comes back, as a multiple of the longest wait
--   return:   ARGV[4] tokens
--             ARGV[5] microseconds until the turn for which they were reserved; negative if the turn has passed
--   cool:     ARGV[4] microseconds
--   free:     no further arguments
--
-- Returns two numbers:
--   reserve:  {1, microseconds until the turn}, or {0, microseconds to wait before the next try}
--   return:   {1, tokens restored}
--   cool:     {1, microseconds left}
--   free:     {1, 0} if the account has no rate and no cool-down, else {0, 0}
-- A refused reservation changes only the field "back:<class>".
--
-- If the script runs twice with the same arguments: "reserve" reserves twice, which only wastes tokens; "cool" ends
-- a little later; "return" would restore the same tokens twice, so its caller never repeats it.
--
-- Fields of the bucket. All but `at` are relative to `at`, so that a clock that is set back does not lock the account:
--   at            Redis' clock in microseconds when the hash was written
--   tokens        tokens in the bucket; negative if tokens are reserved ahead or owed
--   booked        microseconds to the last reserved turn
--   cool          microseconds to the end of the cool-down
--   back:<class>  microseconds to the earliest time at which the next refused caller should come back
-- The debt is kept as tokens and not as a time, so that a new rate also applies to it.

local rate = tonumber(ARGV[2]) / 1e6 -- tokens a microsecond
local burst = tonumber(ARGV[3])
local amount = tonumber(ARGV[4])
local settings = KEYS[2] and redis.call('HMGET', KEYS[2], 'rate', 'limit')
local set = settings and (settings[1] or settings[2])
if set then
  local r, b = string.match(set, '^([%d.]+) (%d+)$')
  if r then rate, burst = tonumber(r) / 1e6, math.max(1, tonumber(b)) end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e6 + tonumber(time[2])
local held = redis.call('HMGET', KEYS[1], 'at', 'tokens', 'booked', 'cool', 'back:bulk', 'back:transactional')
local function field(i, default)
  return tonumber(held[i] or '') or default
end
local gone = math.max(0, now - field(1, now))
local tokens = math.min(burst, field(2, burst) + gone * rate)
local booked = field(3, 0) - gone
local cool = math.max(0, field(4, 0) - gone)
local back = {
  bulk = math.max(0, field(5, 0) - gone),
  transactional = math.max(0, field(6, 0) - gone),
}

local function refill(n) -- microseconds in which the bucket gains n tokens
  if rate == 0 then return 0 end
  return n / rate
end

local function save()
  redis.call('HSET', KEYS[1],
    'at', string.format('%.0f', now),
    'tokens', string.format('%.17g', tokens),
    'booked', string.format('%.0f', booked),
    'cool', string.format('%.0f', cool),
    'back:bulk', string.format('%.0f', back.bulk),
    'back:transactional', string.format('%.0f', back.transactional))
  -- The key lives one hour longer than the time "idle", because the bucket fills more slowly if the rate is lowered.
  local idle = math.max(cool, booked, back.bulk, back.transactional, refill(burst - tokens))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', idle / 1000 + 3600000))
end

if ARGV[1] == 'free' then return {rate == 0 and cool == 0 and 1 or 0, 0} end

if ARGV[1] == 'cool' then
  cool = math.max(cool, amount)
  save()
  return {1, cool}
end

if ARGV[1] == 'return' then
  if rate == 0 then return {1, 0} end
  -- Without this reservation, the bucket might have been full for some time. A full bucket loses tokens that flow into
  -- it, so these tokens must not be restored here. The variable "lost" is the highest possible loss: all tokens that
  -- the rate gives from this reservation's turn to the last reserved turn.
  local lost = math.max(0, booked - tonumber(ARGV[5])) * rate
  local whole = math.max(0, math.floor(amount - lost + 1e-6))
  tokens = math.min(burst, tokens + whole)
  save()
  return {1, whole}
end

local longest, class = tonumber(ARGV[5]), ARGV[6]
local full = math.min(burst, tokens + cool * rate) -- tokens in the bucket when the cool-down ends
local turn = cool + math.max(0, refill(math.min(amount, burst) - full))
if class == 'transactional' then
  turn = math.min(turn, math.max(cool, booked + refill(amount / tonumber(ARGV[7]))))
end
turn = math.ceil(turn - 0.002)

if turn <= longest then
  if rate > 0 then
    tokens = full - cool * rate - amount
    booked = math.max(booked, turn)
    save()
  end
  return {1, turn}
end

local again = math.max(turn - longest, math.min(back[class], turn + tonumber(ARGV[8]) * longest))
back[class] = again + math.ceil(refill(amount) - 0.002)
save()
return {0, again}
