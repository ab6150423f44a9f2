-- start.lua gives a worker the number of its start. Of two workers, the one with the higher number started last.
-- KEYS: 1 settings
-- ARGV: none
-- Returns {number}
-- The number is Redis' time in ms, but always above the last number: so a clock that steps back cannot give an older
-- worker the last word, and a Redis that has lost its data gives higher numbers than before.
local S = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local n = string.format('%.0f', math.max(now, tonumber(redis.call('HGET', S, 'last') or '0') + 1))
redis.call('HSET', S, 'last', n)
return {n}
