-- start.lua gives a worker the number of its start. The worker with the higher number started later.
-- KEYS: 1 settings
-- ARGV: none
-- Returns {number}
-- The number is Redis' time in ms, but it is always higher than the last number. So a worker that starts later has a
-- higher number even if the clock steps back, or if Redis has lost its data.
local S = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local n = string.format('%.0f', math.max(now, tonumber(redis.call('HGET', S, 'last') or '0') + 1))
redis.call('HSET', S, 'last', n)
return {n}
