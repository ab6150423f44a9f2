-- The bucket of one account, shared by every worker of the cluster.
--
-- KEYS[1]  the account's bucket: a hash that expires by itself an hour after it is full again
-- KEYS[2]  may be missing: a hash of the same slot whose field "rate", such as "80 8", is a rate and a burst that
--          win over ARGV[2] and ARGV[3]; changed there, it holds for everybody from the next command on
-- ARGV[1]  what to do: "reserve", "return", "cool" or "free"
-- ARGV[2]  rate in tokens a second, 0 for none
-- ARGV[3]  burst in tokens, at least 1
--   reserve:  ARGV[4] tokens, ARGV[5] the longest wait in µs, not negative, ARGV[6] "bulk" or "transactional",
--             ARGV[7] the share of the rate that bulk debt cannot take from the transactional,
--             ARGV[8] how many longest waits past its turn a caller may be told to come back
--   return:   ARGV[4] tokens, ARGV[5] µs until the turn they were booked for, negative once it has passed
--   cool:     ARGV[4] µs
--   free:     nothing more
--
-- Returns, to reserve, {1, µs until the turn} or {0, µs after which to ask again}; to return, {1, tokens had
-- back}; to cool, {1, µs left}; to free, {1, 0} if there is no rate and no cool-down, else {0, 0}. A refused reservation changes nothing but the field "back:<class>".
--
-- Run again with the same arguments, "reserve" books a second time, which wastes capacity and no more; "cool"
-- ends a little later; "return" would give the same tokens back twice, so its caller never has it run again.
--
-- The hash holds at, the µs of Redis's clock when it was written, and, relative to that moment so that a clock
-- set back does not lock the account: tokens (below zero: booked ahead or owed), booked (µs to the last turn
-- given out), cool (µs to the end of the cool-down), back:<class> (µs to when the next caller that is refused
-- shall ask again, at the earliest). Tokens, not times, so that a new rate also holds for what is owed.

local rate = tonumber(ARGV[2]) / 1e6 -- a µs
local burst = tonumber(ARGV[3])
local amount = tonumber(ARGV[4])
local set = KEYS[2] and redis.call('HGET', KEYS[2], 'rate')
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

local function refill(n) -- µs in which the bucket gains n tokens
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
  -- The hour is for a rate lowered meanwhile: what is owed then takes longer to pay off.
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
  -- What would have run over since the turn, had it not been booked, is lost; it is bounded by what flowed in
  -- until the last turn that was booked behind it.
  local lost = math.max(0, booked - tonumber(ARGV[5])) * rate
  local whole = math.max(0, math.floor(amount - lost + 1e-6))
  tokens = math.min(burst, tokens + whole)
  save()
  return {1, whole}
end

local longest, class = tonumber(ARGV[5]), ARGV[6]
local full = math.min(burst, tokens + cool * rate) -- what the bucket holds when the cool-down is over
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
